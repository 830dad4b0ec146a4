// Settings from the environment: names, lists, what wins, what is not ours.

#include "proxy/environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "proxy/container.h"

namespace tlspost {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

// Variables that go away with the test.
class EnvironmentTest : public ::testing::Test {
 protected:
  ~EnvironmentTest() override {
    for (const std::string& name : names_) unsetenv(name.c_str());
  }
  void Set(const std::string& name, const std::string& value) {
    setenv(name.c_str(), value.c_str(), /*overwrite=*/1);
    names_.push_back(name);
  }

 private:
  std::vector<std::string> names_;
};

std::vector<std::string> ErrorsOf(const std::vector<Variable>& variables) {
  Settings settings;
  SettingOrigins origins;
  std::vector<absl::Status> errors;
  ReadVariables(variables, settings, origins, errors);
  std::vector<std::string> texts;
  for (const absl::Status& error : errors) {
    texts.emplace_back(MessageOf(error));
  }
  return texts;
}

TEST_F(EnvironmentTest, EverySettingHasAVariable) {
  Set("TLSPOST_HOSTNAME", "mx.test");
  Set("TLSPOST_TLS_CAFILE", "/etc/ca.pem");
  Set("TLSPOST_WORKERS", "3");
  Set("TLSPOST_COMMAND_TIMEOUT", "7s");
  Set("TLSPOST_TLS_RECEIVED_HEADER", "no");
  Set("TLSPOST_POOL_MODE", "session");
  const std::vector<const char*> args;
  const auto settings = LoadSettings(args);
  ASSERT_TRUE(settings.ok()) << MessageOf(settings.status());
  EXPECT_EQ(settings->hostname, "mx.test");
  EXPECT_EQ(settings->tls_CAfile, "/etc/ca.pem");
  EXPECT_EQ(settings->workers, 3);
  EXPECT_EQ(settings->command_timeout, Settings::Seconds(7));
  EXPECT_FALSE(settings->tls_received_header);
  EXPECT_EQ(settings->pool_mode, PoolMode::kSession);
}

TEST_F(EnvironmentTest, ListsArePartedByCommasOrBlanks) {
  Set("TLSPOST_LISTEN", "127.0.0.1:25, [::1]:25 127.0.0.2:25\n");
  Set("TLSPOST_CLIENT_EVENT_LIMIT_EXCEPTIONS", "");
  const std::vector<const char*> args;
  const auto settings = LoadSettings(args);
  ASSERT_TRUE(settings.ok()) << MessageOf(settings.status());
  EXPECT_THAT(settings->listen,
              ElementsAre("127.0.0.1:25", "[::1]:25", "127.0.0.2:25"));
  EXPECT_THAT(settings->client_event_limit_exceptions, IsEmpty());
}

TEST_F(EnvironmentTest, WinsOverTheFileAndLosesToTheCommandLine) {
  const std::string path = testing::TempDir() + "tlspost-environment.toml";
  std::ofstream(path) << "workers = 1\nmax_connections = 11\n"
                         "hostname = \"file.test\"\n"
                         "backend = [\"file:25\", \"file:26\"]\n";
  Set("TLSPOST_CONFIG", path);
  Set("TLSPOST_WORKERS", "2");
  Set("TLSPOST_MAX_CONNECTIONS", "22");
  Set("TLSPOST_BACKEND", "variable:25");
  const std::vector<const char*> args = {"--workers=3"};
  SettingOrigins origins;
  std::vector<absl::Status> errors;
  const auto settings = LoadSettings(args, origins, errors);
  std::remove(path.c_str());
  ASSERT_TRUE(settings.has_value()) << MessageOf(errors.front());
  EXPECT_EQ(settings->workers, 3);
  EXPECT_EQ(settings->max_connections, 22);
  EXPECT_EQ(settings->hostname, "file.test");
  EXPECT_THAT(settings->backend, ElementsAre("variable:25"));
  EXPECT_EQ(origins["workers"], "--workers");
  EXPECT_EQ(origins["max_connections"], "TLSPOST_MAX_CONNECTIONS");
  EXPECT_EQ(origins["hostname"], path + ":3:1");
}

TEST_F(EnvironmentTest, ConfigOfTheCommandLineWins) {
  Set("TLSPOST_CONFIG", "/nowhere/variable.toml");
  const std::vector<const char*> none;
  EXPECT_THAT(MessageOf(LoadSettings(none).status()),
              StartsWith("TLSPOST_CONFIG=/nowhere/variable.toml: "));
  const std::vector<const char*> args = {"--config=/nowhere/option.toml"};
  EXPECT_THAT(MessageOf(LoadSettings(args).status()),
              StartsWith("--config=/nowhere/option.toml: "));
}

TEST_F(EnvironmentTest, WhatIsWrongTogetherNamesTheVariable) {
  Set("TLSPOST_TLS_SECURITY_LEVEL", "encrypt");
  const std::vector<const char*> args;
  const auto settings = LoadSettings(args);
  EXPECT_THAT(MessageOf(settings.status()),
              AllOf(StartsWith("TLSPOST_TLS_SECURITY_LEVEL: "),
                    Not(HasSubstr(": tls_security_level: "))));
}

TEST(VariablesTest, ErrorsNameTheVariableAndTheRemedy) {
  EXPECT_THAT(ErrorsOf({{"TLSPOST_WORKERS", "many"}}),
              ElementsAre("TLSPOST_WORKERS: \"many\" is no whole number"));
  EXPECT_THAT(ErrorsOf({{"TLSPOST_BACKENDS", "mail:25"}}),
              ElementsAre("TLSPOST_BACKENDS: unknown setting; did you mean "
                          "TLSPOST_BACKEND?"));
  EXPECT_THAT(ErrorsOf({{"TLSPOST_TLS_CAPATHS", "x"}}),
              ElementsAre(HasSubstr("did you mean TLSPOST_TLS_CAPATH?")));
  EXPECT_THAT(ErrorsOf({{"TLSPOST_XYZZY", "1"}}),
              ElementsAre(StartsWith("TLSPOST_XYZZY: unknown setting; take")));
  EXPECT_THAT(ErrorsOf({{"TLSPOST_LISTENER", "1"}}),
              ElementsAre("TLSPOST_LISTENER: is a table of the settings "
                          "file: [[listener]]"));
}

TEST(VariablesTest, WhatKubernetesMakesOfServicesIsNotOurs) {
  EXPECT_THAT(
      ErrorsOf({{"TLSPOST_SERVICE_HOST", "10.0.0.7"},
                {"TLSPOST_SERVICE_PORT", "25"},
                {"TLSPOST_SERVICE_PORT_SMTP", "25"},
                {"TLSPOST_PORT", "tcp://10.0.0.7:25"},
                {"TLSPOST_PORT_25_TCP", "tcp://10.0.0.7:25"},
                {"TLSPOST_PORT_25_TCP_PROTO", "tcp"},
                {"TLSPOST_PORT_25_TCP_PORT", "25"},
                {"TLSPOST_PORT_25_TCP_ADDR", "10.0.0.7"},
                {"TLSPOST_METRICS_SERVICE_HOST", "10.0.0.8"},
                {"TLSPOST_METRICS_PORT_9090_TCP", "tcp://10.0.0.8:9090"},
                {"TLSPOST_DNS_PORT_53_UDP_ADDR", "10.0.0.8"}}),
      IsEmpty());
  // What a person might write.
  EXPECT_EQ(ErrorsOf({{"TLSPOST_PORT", "25"}}).size(), 1u);
  EXPECT_EQ(ErrorsOf({{"TLSPOST_SMTP_PORT", "25"}}).size(), 1u);
  EXPECT_EQ(ErrorsOf({{"TLSPOST_PORT_25_TCP_X", "1"}}).size(), 1u);
  EXPECT_EQ(ErrorsOf({{"TLSPOST_PORT_TCP", "1"}}).size(), 1u);
}

TEST(ContainerTest, ServesWithABackendAndElseShowsItself) {
  const auto chosen = [](const SettingOrigins& origins) {
    return ChooseContainerTask(origins);
  };
  EXPECT_EQ(*chosen({}), ContainerTask::kDemonstrate);
  EXPECT_EQ(*chosen({{"listen", "/etc/tlspost/tlspost.toml:1:1"}}),
            ContainerTask::kDemonstrate);
  EXPECT_EQ(*chosen({{"backend", "TLSPOST_BACKEND"}}), ContainerTask::kServe);
  EXPECT_EQ(*chosen({{"backend", "/etc/tlspost/tlspost.toml:1:1"}}),
            ContainerTask::kServe);
  for (const std::string place : {"TLSPOST_TLS_CERT_FILE", "--tls_cert_file"}) {
    const auto task = chosen({{"tls_cert_file", place}});
    ASSERT_FALSE(task.ok());
    EXPECT_THAT(MessageOf(task.status()),
                HasSubstr("set TLSPOST_BACKEND=HOST:PORT"));
  }
}

}  // namespace
}  // namespace tlspost
