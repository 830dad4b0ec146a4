// The command line, the TOML file, which of them wins, and what errors say.

#include "proxy/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "proxy/listener_settings.h"
#include "proxy/settings_toml.h"

namespace tlspost {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

absl::StatusOr<Settings> Load(std::vector<const char*> args) {
  return LoadSettings(args);
}

std::string LoadError(std::vector<const char*> args) {
  const auto settings = Load(std::move(args));
  const std::string message(MessageOf(settings.status()));
  EXPECT_EQ(message.find('\n'), std::string::npos) << "more than one line";
  return message;
}

std::string TomlError(std::string_view toml) {
  Settings settings;
  SettingOrigins origins;
  const auto status = ReadSettingsText(toml, "t.toml", settings, origins);
  const std::string message(MessageOf(status));
  EXPECT_EQ(message.find('\n'), std::string::npos) << "more than one line";
  return message;
}

// A settings file that goes away with the test.
class ConfigFileTest : public ::testing::Test {
 protected:
  ConfigFileTest() {
    const int file = mkstemp(path_.data());
    EXPECT_GE(file, 0);
    close(file);
  }
  ~ConfigFileTest() override { unlink(path_.c_str()); }

  void Write(std::string_view toml) { std::ofstream(path_) << toml; }
  const char* option() const { return option_.c_str(); }
  const std::string& path() const { return path_; }

 private:
  std::string path_ = testing::TempDir() + "tlspost-config-XXXXXX";
  std::string option_;

 public:
  void SetUp() override { option_ = "--config=" + path_; }
};

TEST(CommandLineTest, NothingGivesTheDefaults) {
  const auto settings = Load({});
  ASSERT_TRUE(settings.ok()) << MessageOf(settings.status());
  EXPECT_FALSE(settings->hostname.empty());
  Settings expected;
  expected.hostname = settings->hostname;
  EXPECT_EQ(*settings, expected);
}

TEST(CommandLineTest, AllErrorsCanBeHeardOf) {
  std::vector<absl::Status> errors;
  const std::vector<const char*> args = {"--workers=many", "--nonsense=1",
                                         "--hostname=mx.test", "--listen"};
  EXPECT_EQ(LoadSettings(args, errors), std::nullopt);
  ASSERT_EQ(errors.size(), 3u);
  EXPECT_THAT(MessageOf(errors[0]), StartsWith("--workers: "));
  EXPECT_THAT(MessageOf(errors[1]), StartsWith("--nonsense: "));
  EXPECT_THAT(MessageOf(errors[2]), StartsWith("--listen: "));
  EXPECT_EQ(LoadSettings(args).status(), errors[0]);
}

TEST(CommandLineTest, ReadsEveryKindOfSetting) {
  const auto settings =
      Load({"--listen=127.0.0.1:2525", "--listen=[::1]:2525",
            "--backend=unix:/run/mta", "--hostname=mx.example.org",
            "--workers=3", "--message_size_limit=20M", "--data_timeout=5m",
            "--tls_received_header=no", "--bare_newline=reject",
            "--tls_strict_key_permissions", "--tls_cert_file=/etc/c=1.pem"});
  ASSERT_TRUE(settings.ok()) << MessageOf(settings.status());
  EXPECT_THAT(settings->listen, ElementsAre("127.0.0.1:2525", "[::1]:2525"));
  EXPECT_THAT(settings->backend, ElementsAre("unix:/run/mta"));
  EXPECT_EQ(settings->hostname, "mx.example.org");
  EXPECT_EQ(settings->workers, 3);
  EXPECT_EQ(settings->message_size_limit, 20u << 20);
  EXPECT_EQ(settings->data_timeout, Settings::Seconds(300));
  EXPECT_FALSE(settings->tls_received_header);
  EXPECT_EQ(settings->bare_newline, BareNewline::kReject);
  EXPECT_TRUE(settings->tls_strict_key_permissions);
  EXPECT_EQ(settings->tls_cert_file, "/etc/c=1.pem");
  EXPECT_EQ(settings->tls_key_file, "/etc/c=1.pem") << "the certificate's";
}

TEST(CommandLineTest, ErrorsNameTheOptionAndTheRemedy) {
  EXPECT_EQ(LoadError({"--tls_cert=x"}),
            "--tls_cert: unknown setting; did you mean --tls_cert_file?");
  EXPECT_EQ(LoadError({"--colour=x"}),
            "--colour: unknown setting; see tlspost --help");
  EXPECT_EQ(LoadError({"--workers"}),
            "--workers: needs a value: --workers=0..256");
  EXPECT_EQ(LoadError({"--workers=x"}), "--workers: \"x\" is no whole number");
  EXPECT_EQ(LoadError({"--workers=1", "--workers=1"}),
            "--workers: is given twice; give it once");
  EXPECT_EQ(LoadError({"127.0.0.1:25"}),
            "127.0.0.1:25: is no option; options are written --name=value");
  EXPECT_EQ(LoadError({"--config"}), "--config: needs a value: --config=FILE");
  EXPECT_EQ(LoadError({"--config="}), "--config: needs a value: --config=FILE");
  EXPECT_EQ(LoadError({"--config=a", "--config=b"}),
            "--config: is given twice; give it once");
  EXPECT_THAT(LoadError({"--tls_security_level=encrypt"}),
              StartsWith("--tls_security_level: encrypt needs a certificate"));
  EXPECT_THAT(LoadError({"--\n\x1b=1"}), StartsWith("--??: unknown setting"));
  EXPECT_THAT(LoadError({"--"}), StartsWith("--: unknown setting"));
}

TEST(CommandLineTest, FileThatCannotBeRead) {
  EXPECT_EQ(LoadError({"--config=/nonexistent/x.toml"}),
            "--config=/nonexistent/x.toml: cannot be read: No such file or "
            "directory");
  EXPECT_EQ(LoadError({"--config=/"}),
            "--config=/: cannot be read: Is a directory");
  EXPECT_THAT(LoadError({"--config=/dev/zero"}),
              HasSubstr("larger than 1 MiB"));
}

TEST(TomlTest, ReadsEveryKindOfSetting) {
  Settings settings;
  SettingOrigins origins;
  const absl::Status status = ReadSettingsText(R"(
# a comment
listen = ["127.0.0.1:2525", "[::1]:2525"]
backend = "127.0.0.1:10025"
workers = 3
message_size_limit = "20M"
line_length_limit = 4096
data_timeout = "5m"
tls_received_header = false
helo_required = "no"
tls_security_level = "none"
)",
                                               "t.toml", settings, origins);
  ASSERT_TRUE(status.ok()) << MessageOf(status);
  EXPECT_THAT(settings.listen, ElementsAre("127.0.0.1:2525", "[::1]:2525"));
  EXPECT_THAT(settings.backend, ElementsAre("127.0.0.1:10025"));
  EXPECT_EQ(settings.workers, 3);
  EXPECT_EQ(settings.message_size_limit, 20u << 20);
  EXPECT_EQ(settings.line_length_limit, 4096u);
  EXPECT_EQ(settings.data_timeout, Settings::Seconds(300));
  EXPECT_FALSE(settings.tls_received_header);
  EXPECT_FALSE(settings.helo_required);
  EXPECT_EQ(settings.tls_security_level, TlsSecurityLevel::kNone);
  EXPECT_EQ(origins["workers"], "t.toml:5:1");
}

TEST(TomlTest, ErrorsNameLineAndColumn) {
  EXPECT_EQ(TomlError("\nsmtpd_tls_cert_file = 'x'\n"),
            "t.toml:2:1: smtpd_tls_cert_file: unknown setting; did you mean "
            "tls_cert_file?");
  EXPECT_EQ(TomlError("a_b_c = 1"),
            "t.toml:1:1: a_b_c: unknown setting; see tlspost --help for all");
  EXPECT_EQ(TomlError("# x\nworkers = \"x\""),
            "t.toml:2:11: workers: \"x\" is no whole number");
  EXPECT_EQ(TomlError("workers = 9999"),
            "t.toml:1:11: workers: 9999 is out of range; it must be 0 to 256");
  EXPECT_EQ(TomlError("workers = 4294967297"),
            "t.toml:1:11: workers: 4294967297 is out of range; it must be 0 to "
            "256");
  EXPECT_EQ(TomlError("data_timeout = 30"),
            "t.toml:1:16: data_timeout: must not be a bare number; write it in "
            "quotes and with a unit: \"30s\"");
  EXPECT_EQ(TomlError("hostname = true"),
            "t.toml:1:12: hostname: must not be true or false; it takes NAME");
  EXPECT_EQ(TomlError("hostname = ['a']"),
            "t.toml:1:12: hostname: has the wrong type; it takes NAME in "
            "quotes");
  EXPECT_EQ(TomlError("workers = 1.5"),
            "t.toml:1:11: workers: has the wrong type; it takes 0..256");
  EXPECT_EQ(TomlError("listen = ['a:1', 2]"),
            "t.toml:1:18: listen: every element must be HOST:PORT in quotes");
  EXPECT_EQ(TomlError("[listeners]\nx = 1"),
            "t.toml:1:2: listeners: unknown setting; did you mean listen?");
  EXPECT_THAT(TomlError("[listen]\nx = 1"),
              HasSubstr("listen: has the wrong type"));
}

TEST(TomlTest, BrokenSyntaxNamesItsPlace) {
  for (const std::string_view broken :
       {"workers = ", "workers = 1\nworkers = 2", "= 1", "[", "x = \"\n\"",
        "\xff\xfe", "workers 1"}) {
    EXPECT_THAT(TomlError(broken), MatchesRegex("t.toml:[0-9]+:[0-9]+: .+"))
        << broken;
  }
}

TEST_F(ConfigFileTest, CommandLineWinsOverFileOverDefault) {
  Write("workers = 3\nmax_connections = 7\nlisten = ['0.0.0.0:1']\n");
  const auto settings = Load({"--workers=5", option(), "--listen=0.0.0.0:2"});
  ASSERT_TRUE(settings.ok()) << MessageOf(settings.status());
  EXPECT_EQ(settings->workers, 5);
  EXPECT_EQ(settings->max_connections, 7);
  EXPECT_EQ(settings->recipient_limit, Settings{}.recipient_limit);
  EXPECT_THAT(settings->listen, ElementsAre("0.0.0.0:2"));
}

TEST_F(ConfigFileTest, AllErrorsCanBeHeardOf) {
  Write("workers = \"many\"\nnonsense = 1\nlisten = [1]\n");
  std::vector<absl::Status> errors;
  const std::vector<const char*> args = {option(), "--backlog=1"};
  EXPECT_EQ(LoadSettings(args, errors), std::nullopt);
  EXPECT_EQ(errors.size(), 4u);
  // What does not go together is told when each by itself is understood.
  Write("hostname = \"a b\"\nbackend = \"nowhere\"\n");
  errors.clear();
  const std::vector<const char*> file_only = {option()};
  EXPECT_EQ(LoadSettings(file_only, errors), std::nullopt);
  ASSERT_EQ(errors.size(), 2u);
  EXPECT_THAT(MessageOf(errors[0]), StartsWith(path() + ":1:1: hostname: "));
  EXPECT_THAT(MessageOf(errors[1]), StartsWith(path() + ":2:1: backend: "));
}

TEST_F(ConfigFileTest, TheControlSocketIsFoundInABrokenFile) {
  const auto find = [this](std::vector<const char*> args, size_t errors) {
    args.insert(args.begin(), option());
    std::vector<absl::Status> found;
    std::string path = FindControlSocket(args, found);
    EXPECT_EQ(found.size(), errors);
    return path;
  };
  Write("workers = 9999\ncontrol_socket = \"/run/c\"\nhostnam = \"x\"\n");
  EXPECT_EQ(find({}, 2), "/run/c");
  EXPECT_EQ(find({"--control_socket=/run/d"}, 2), "/run/d");
  Write("tls_security_level = \"encrypt\"\ncontrol_socket = \"/run/c\"\n");
  EXPECT_EQ(find({}, 0), "/run/c");
  Write("control_socket = [");
  EXPECT_EQ(find({}, 1), "");
  Write("");
  EXPECT_EQ(find({}, 0), "");
}

TEST_F(ConfigFileTest, ImpossibleCombinationNamesTheLine) {
  Write("\n\ntls_key_file = 'key.pem'\n");
  EXPECT_EQ(LoadError({option()}),
            path() +
                ":3:1: tls_key_file: a key needs its certificate; set "
                "tls_cert_file too");
  EXPECT_TRUE(Load({option(), "--tls_cert_file=c.pem"}).ok());
}

TEST_F(ConfigFileTest, EmptyFileGivesTheDefaults) {
  const auto settings = Load({option(), "--hostname=h"});
  ASSERT_TRUE(settings.ok()) << MessageOf(settings.status());
  Settings expected;
  expected.hostname = "h";
  EXPECT_EQ(*settings, expected);
}

// --- [[tls_policy]] ---------------------------------------------------------

TEST_F(ConfigFileTest, APolicyChangesWhatItNamesAndLeavesTheRest) {
  Write(
      "tls_protocols = \">=TLSv1.3\"\n"
      "[[tls_policy]]\n"
      "clients = [\"192.168.7.0/24\", \"2001:db8::/32\"]\n"
      "tls_protocols = \">=TLSv1\"\n"
      "[[tls_policy]]\n"
      "sni = [\"old.example.org\"]\n"
      "tls_ask_ccert = true\n");
  const auto settings =
      Load({option(), "--tls_cert_file=c.pem", "--tls_cipherlist=ECDHE+AES"});
  ASSERT_TRUE(settings.ok()) << settings.status();
  ASSERT_EQ(settings->tls_policy.size(), 2u);
  const TlsPolicyRule& by_network = settings->tls_policy[0];
  EXPECT_THAT(by_network.clients,
              ElementsAre("192.168.7.0/24", "2001:db8::/32"));
  EXPECT_EQ(by_network.terms.tls_protocols, ">=TLSv1");
  // What the command line says later holds in a table too.
  EXPECT_EQ(by_network.terms.tls_cipherlist, "ECDHE+AES");
  const TlsPolicyRule& by_name = settings->tls_policy[1];
  EXPECT_THAT(by_name.sni, ElementsAre("old.example.org"));
  EXPECT_EQ(by_name.terms.tls_protocols, ">=TLSv1.3");
  EXPECT_TRUE(by_name.terms.tls_ask_ccert);
}

TEST_F(ConfigFileTest, APolicysErrorsNameTheirPlace) {
  const auto error = [this](std::string_view table) {
    Write("tls_cert_file = \"c.pem\"\n[[tls_policy]]\n" + std::string(table));
    return LoadError({option()});
  };
  EXPECT_THAT(error("tls_cert_file = \"x\"\n"),
              HasSubstr(":3:1: tls_cert_file: is not for a [[tls_policy]]"));
  EXPECT_THAT(error("clients = \"10.0.0.0/8\"\n"),
              HasSubstr(":3:1: clients: takes a list of networks"));
  EXPECT_THAT(error("clients = [\"10.0.0.1/8\"]\n"),
              HasSubstr(":2:1: clients: \"10.0.0.1/8\" has bits set"));
  EXPECT_THAT(error("tls_protocols = \"TLS1\"\n"),
              HasSubstr(":2:1: tls_protocols: \"TLS1\" is no TLS version"));
  EXPECT_THAT(error("tls_ask_ccert = \"perhaps\"\n"),
              HasSubstr(":3:1: tls_ask_ccert: \"perhaps\" is neither"));
  EXPECT_THAT(error("sni = [\"a.example\"]\ntls_security_level = \"encrypt\""),
              HasSubstr("too late for another level"));
  EXPECT_THAT(error("tls_req_ccert = true\n"),
              HasSubstr("set tls_CAfile or tls_CApath"));
}

TEST(TlsPolicyTable, IsATableOfTheFileOnly) {
  EXPECT_THAT(LoadError({"--tls_policy=x"}),
              HasSubstr("table of the settings"));
  EXPECT_THAT(TomlError("tls_policy = 3\n"), HasSubstr("[[tls_policy]]"));
}

// What a PROXY header implies, and what it cannot be combined with.
TEST(ConfigTest, ProxyIdentityImpliesSessionMode) {
  const auto implied = Load({"--backend_identity=proxy"});
  ASSERT_TRUE(implied.ok()) << MessageOf(implied.status());
  EXPECT_EQ(implied->pool_mode, PoolMode::kSession);
  EXPECT_EQ(Load({"--backend_identity=xforward"})->pool_mode,
            PoolMode::kTransaction);
  EXPECT_TRUE(Load({"--backend_identity=proxy", "--pool_mode=session"}).ok());
  EXPECT_THAT(
      LoadError({"--pool_mode=transaction", "--backend_identity=proxy"}),
      StartsWith("--pool_mode: a PROXY header names one client"));
}

TEST(ConfigTest, BackendMayBeGivenSeveralTimes) {
  const auto settings = Load({"--backend=a:1", "--backend=unix:/run/b"});
  ASSERT_TRUE(settings.ok()) << MessageOf(settings.status());
  EXPECT_THAT(settings->backend, ElementsAre("a:1", "unix:/run/b"));
}

// --- [[listener]] -----------------------------------------------------------

TEST_F(ConfigFileTest, ListenersOverrideSettingsAtTheirAddresses) {
  Write(
      "tls_cert_file = \"c.pem\"\n"
      "message_size_limit = 1000\n"
      "[[listener]]\n"
      "address = \"0.0.0.0:587\"\n"
      "tls_security_level = \"encrypt\"\n"
      "upstream_proxy_protocol = \"haproxy\"\n"
      "haproxy_networks = [\"10.0.0.0/8\", \"192.0.2.1\"]\n"
      "[[listener]]\n"
      "address = [\"0.0.0.0:465\", \"[::]:465\"]\n"
      "tls = \"implicit\"\n"
      "message_size_limit = 5000\n"
      "[[tls_policy]]\n"
      "clients = [\"192.0.2.0/24\"]\n"
      "tls_req_ccert = false\n");
  const auto settings = Load({option()});
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_TRUE(settings->listen.empty()) << "the default gives way";
  ASSERT_EQ(settings->listeners.size(), 2u);
  const auto submission = SettingsFor(settings->listeners[0], *settings);
  ASSERT_TRUE(submission.ok()) << submission.status();
  EXPECT_EQ(submission->listen, Settings::List{"0.0.0.0:587"});
  EXPECT_EQ(submission->tls_security_level, TlsSecurityLevel::kEncrypt);
  EXPECT_EQ(submission->message_size_limit, 1000u);
  EXPECT_EQ(submission->haproxy_networks,
            (Settings::List{"10.0.0.0/8", "192.0.2.1"}));
  // A policy leaves out what the listener has set.
  ASSERT_EQ(submission->tls_policy.size(), 1u);
  EXPECT_EQ(submission->tls_policy[0].terms.tls_security_level,
            TlsSecurityLevel::kEncrypt);
  const auto smtps = SettingsFor(settings->listeners[1], *settings);
  ASSERT_TRUE(smtps.ok()) << smtps.status();
  EXPECT_EQ(smtps->listen_tls, (Settings::List{"0.0.0.0:465", "[::]:465"}));
  EXPECT_TRUE(smtps->listen.empty());
  EXPECT_EQ(smtps->message_size_limit, 5000u);
  EXPECT_EQ(smtps->tls_security_level, TlsSecurityLevel::kMay);
}

TEST_F(ConfigFileTest, ListenersStandBesideListenWhereItIsGiven) {
  const std::string table = "[[listener]]\naddress = \"0.0.0.0:587\"\n";
  for (const bool in_file : {true, false}) {
    Write((in_file ? "listen = [\"0.0.0.0:26\"]\n" : "") + table);
    const auto settings =
        in_file ? Load({option()}) : Load({option(), "--listen=0.0.0.0:26"});
    ASSERT_TRUE(settings.ok()) << settings.status();
    EXPECT_EQ(settings->listen, Settings::List{"0.0.0.0:26"});
  }
}

TEST_F(ConfigFileTest, WhatAListenerMayNotSayNamesItsLine) {
  const auto error = [this](std::string_view table) {
    Write("[[listener]]\n" + std::string(table));
    return LoadError({option()});
  };
  const std::string address = "address = \"0.0.0.0:587\"\n";
  EXPECT_THAT(error("helo_required = true\n"),
              HasSubstr(":1:1: listener: has no address"));
  EXPECT_THAT(error(address + "workers = 3\n"),
              HasSubstr(":3:1: workers: is the same at all addresses"));
  EXPECT_THAT(error(address + "tls_cert_file = \"c\"\n"),
              HasSubstr(":3:1: tls_cert_file: is the same at all addresses"));
  EXPECT_THAT(error(address + "helo_requird = true\n"),
              HasSubstr(":3:1: helo_requird: unknown setting; did you mean "
                        "helo_required?"));
  EXPECT_THAT(error(address + "tls = \"yes\"\n"),
              HasSubstr(":3:1: tls: takes \"starttls\" or \"implicit\""));
  EXPECT_THAT(error(address + "command_timeout = 3\n"),
              HasSubstr(":3:1: command_timeout: must not be a bare number"));
  EXPECT_THAT(error("address = \"smtp\"\n"),
              HasSubstr(":1:1: address: \"smtp\" has no port"));
  EXPECT_THAT(error(address + "tls = \"implicit\"\n"),
              HasSubstr(":1:1: address: TLS needs a certificate"));
  EXPECT_THAT(error(address + "tls_security_level = \"encrypt\"\n"),
              HasSubstr(":1:1: tls_security_level: encrypt needs a"));
  EXPECT_THAT(error(address + "upstream_proxy_protocol = \"haproxy\"\n"),
              HasSubstr(":1:1: upstream_proxy_protocol: no PROXY header"));
  EXPECT_THAT(TomlError("listener = 3\n"), HasSubstr("[[listener]]"));
  EXPECT_THAT(LoadError({"--listener=x"}), HasSubstr("[[listener]]"));
}

TEST_F(ConfigFileTest, AListenerCannotAskForCertificatesAlone) {
  const std::string text =
      "tls_cert_file = \"c\"\ntls_CAfile = \"ca\"\n[[listener]]\n"
      "address = \"0.0.0.0:587\"\ntls_req_ccert = true\n";
  Write(text);
  EXPECT_THAT(LoadError({option()}),
              HasSubstr(":3:1: tls_req_ccert: clients must be asked"));
  const auto settings = Load({option(), "--tls_ask_ccert=yes"});
  EXPECT_TRUE(settings.ok()) << settings.status();
}

}  // namespace
}  // namespace tlspost
