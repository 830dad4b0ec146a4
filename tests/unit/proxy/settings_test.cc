// Values of every type, combinations, and the documents made from the list.

#include "proxy/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "proxy/config.h"
#include "proxy/import/postfix_table.h"
#include "proxy/metrics.h"
#include "proxy/settings_help.h"
#include "proxy/settings_table.h"
#include "proxy/settings_toml.h"

namespace tlspost {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

// The message of setting `name` to `text`; "" when that is fine.
std::string Set(std::string_view name, std::string_view text,
                Settings& settings) {
  const Setting* setting = FindSetting(name);
  if (setting == nullptr) return "no such setting";
  return std::string(MessageOf(SetFromText(*setting, text, settings)));
}

std::string ErrorOf(std::string_view name, std::string_view text) {
  Settings settings;
  return Set(name, text, settings);
}

std::string ReadRepositoryFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(SettingsTest, DurationsNeedAUnit) {
  Settings settings;
  EXPECT_EQ(Set("command_timeout", "500ms", settings), "");
  EXPECT_EQ(settings.command_timeout, Settings::Milliseconds(500));
  EXPECT_EQ(Set("command_timeout", "30s", settings), "");
  EXPECT_EQ(settings.command_timeout, Settings::Seconds(30));
  EXPECT_EQ(Set("command_timeout", "5m", settings), "");
  EXPECT_EQ(settings.command_timeout, Settings::Seconds(300));
  EXPECT_EQ(Set("command_timeout", "1h", settings), "");
  EXPECT_EQ(settings.command_timeout, Settings::Hours(1));
  for (const auto* wrong : {"", "30", "s", "-1s", "30 s", "30S", "1.5h", "0x1s",
                            "1d", "30s ", " 30s"}) {
    EXPECT_THAT(ErrorOf("command_timeout", wrong), HasSubstr("is no duration"))
        << wrong;
  }
}

TEST(SettingsTest, DurationsHaveARange) {
  EXPECT_EQ(ErrorOf("command_timeout", "100ms"), "");
  EXPECT_EQ(ErrorOf("command_timeout", "99ms"),
            "99ms is out of range; it must be 100ms to 24h");
  EXPECT_EQ(ErrorOf("command_timeout", "24h"), "");
  EXPECT_THAT(ErrorOf("command_timeout", "86401s"), HasSubstr("out of range"));
  EXPECT_THAT(ErrorOf("command_timeout", "9223372036854775807h"),
              HasSubstr("out of range"));
  // 2^57 + 1 hours would be one hour if the product wrapped around.
  EXPECT_THAT(ErrorOf("command_timeout", "144115188075855873h"),
              HasSubstr("out of range"));
  EXPECT_THAT(ErrorOf("command_timeout", "9223372036854775808s"),
              HasSubstr("is no duration"));
}

TEST(SettingsTest, SizesAreBytesOrCarryAUnit) {
  Settings settings;
  EXPECT_EQ(Set("message_size_limit", "0", settings), "");
  EXPECT_EQ(settings.message_size_limit, 0u);
  EXPECT_EQ(Set("message_size_limit", "64k", settings), "");
  EXPECT_EQ(settings.message_size_limit, 65536u);
  EXPECT_EQ(Set("message_size_limit", "10M", settings), "");
  EXPECT_EQ(settings.message_size_limit, 10485760u);
  EXPECT_EQ(Set("message_size_limit", "2G", settings), "");
  EXPECT_EQ(settings.message_size_limit, 2147483648u);
  for (const auto* wrong : {"", "M", "10MB", "-1", "1e6", "10 M"}) {
    EXPECT_THAT(ErrorOf("message_size_limit", wrong), HasSubstr("is no size"))
        << wrong;
  }
  EXPECT_THAT(ErrorOf("line_length_limit", "511"), HasSubstr("out of range"));
  EXPECT_EQ(ErrorOf("line_length_limit", "512"), "");
  EXPECT_THAT(ErrorOf("message_size_limit", "17179869185G"),
              HasSubstr("out of range"));
  EXPECT_THAT(ErrorOf("message_size_limit", "9223372036854775807G"),
              HasSubstr("out of range"));
}

TEST(SettingsTest, CountsAreWholeNumbersInRange) {
  Settings settings;
  EXPECT_EQ(Set("workers", "4", settings), "");
  EXPECT_EQ(settings.workers, 4);
  EXPECT_THAT(ErrorOf("workers", "4k"), HasSubstr("is no whole number"));
  EXPECT_THAT(ErrorOf("workers", "-1"), HasSubstr("is no whole number"));
  EXPECT_THAT(ErrorOf("workers", "1025"), HasSubstr("must be 0 to 256"));
  // Would be 1 if the range were checked after the cut to int.
  EXPECT_THAT(ErrorOf("workers", "4294967297"), HasSubstr("out of range"));
}

TEST(SettingsTest, SwitchesAndWords) {
  Settings settings;
  EXPECT_EQ(Set("helo_required", "no", settings), "");
  EXPECT_FALSE(settings.helo_required);
  EXPECT_EQ(Set("helo_required", "true", settings), "");
  EXPECT_TRUE(settings.helo_required);
  EXPECT_EQ(ErrorOf("helo_required", "on"), "\"on\" is neither yes nor no");
  EXPECT_EQ(Set("tls_security_level", "encrypt", settings), "");
  EXPECT_EQ(settings.tls_security_level, TlsSecurityLevel::kEncrypt);
  EXPECT_EQ(Set("backend_identity", "none", settings), "");
  EXPECT_EQ(settings.backend_identity, BackendIdentity::kNone);
  EXPECT_EQ(Set("bare_newline", "reject", settings), "");
  EXPECT_EQ(settings.bare_newline, BareNewline::kReject);
  EXPECT_EQ(ErrorOf("tls_security_level", "dane\n"),
            "\"dane?\" is unknown; it must be one of none, may, encrypt");
}

std::vector<std::string> ElementsOf(std::string_view list) {
  std::vector<std::string> elements;
  while (!list.empty()) {
    const size_t end = std::min(list.find(", "), list.size());
    elements.emplace_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 2, list.size()));
  }
  return elements;
}

TEST(SettingsTest, EveryDefaultCanBeWrittenAndReadBack) {
  const Settings defaults;
  for (const Setting& setting : AllSettings()) {
    Settings read;
    ClearList(setting, read);
    // On the command line each element of a list is given by itself.
    std::vector<std::string> texts = {FormatValue(setting, defaults)};
    if (setting.repeatable()) texts = ElementsOf(texts.front());
    for (const std::string& text : texts) {
      EXPECT_EQ(Set(setting.name, text, read), "") << setting.name;
    }
    EXPECT_TRUE(read == defaults) << setting.name;
  }
}

TEST(SettingsTest, EveryValueCanBeCopied) {
  Settings from;
  from.listen = {"[::1]:2525", "127.0.0.1:25"};
  from.hostname = "mx.example";
  from.workers = 7;
  from.message_size_limit = 12345;
  from.drain_timeout = std::chrono::seconds(77);
  from.takeover = true;
  from.pool_mode = PoolMode::kSession;
  Settings to;
  int differed = 0;
  for (const Setting& setting : AllSettings()) {
    if (FormatValue(setting, from) != FormatValue(setting, to)) ++differed;
    CopyValue(setting, from, to);
    EXPECT_EQ(FormatValue(setting, from), FormatValue(setting, to))
        << setting.name;
  }
  EXPECT_EQ(differed, 7);
  EXPECT_EQ(from, to);
}

// What the process is made of, and where its owner finds it.
TEST(SettingsTest, AFewNeedARestart) {
  std::vector<std::string> names;
  for (const Setting& setting : AllSettings()) {
    if (setting.needs_restart) names.emplace_back(setting.name);
  }
  EXPECT_THAT(names, ElementsAreArray(
                         {"workers", "io_engine", "dns_servers", "tls_CApath",
                          "backend_tls_CApath", "admin_listen",
                          "admin_allow_remote", "control_socket", "takeover",
                          "syslog_name", "log_file", "log_to", "log_format",
                          "log_queue_size", "user", "group", "sandbox"}));
}

TEST(SettingsTest, NamesAreUniqueAndHelpIsASentence) {
  std::set<std::string_view> names;
  for (const Setting& setting : AllSettings()) {
    EXPECT_TRUE(names.insert(setting.name).second) << setting.name;
    EXPECT_TRUE(setting.help.ends_with('.')) << setting.name;
    EXPECT_FALSE(setting.hint.empty()) << setting.name;
    EXPECT_EQ(setting.help.find('\n'), std::string_view::npos) << setting.name;
  }
}

TEST(SettingsTest, NearestName) {
  EXPECT_EQ(NearestSettingName("tls_cert_fil"), "tls_cert_file");
  EXPECT_EQ(NearestSettingName("smtpd_tls_cert_file"), "tls_cert_file");
  EXPECT_EQ(NearestSettingName("tls-key-file"), "tls_key_file");
  EXPECT_EQ(NearestSettingName("tls-strict-key-permission"),
            "tls_strict_key_permissions");
  EXPECT_EQ(NearestSettingName("Backends"), "backend");
  EXPECT_EQ(NearestSettingName("tls_cert"), "tls_cert_file");
  EXPECT_EQ(NearestSettingName("colour"), "");
  EXPECT_EQ(NearestSettingName(""), "");
  EXPECT_EQ(NearestSettingName(std::string(100000, 'x')), "");
}

TEST(SettingsTest, Addresses) {
  const auto listens = [](std::string_view address) {
    Settings settings;
    settings.listen = {std::string(address)};
    return ValidateSettings(settings).ok();
  };
  const auto connects = [](std::string_view address) {
    Settings settings;
    settings.backend = {std::string(address)};
    return ValidateSettings(settings).ok();
  };
  for (const auto* good : {"mx.example.org:25", "[::1]:2525", "1.2.3.4:65535",
                           "[fe80::1%eth0]:25"}) {
    EXPECT_TRUE(listens(good)) << good;
    EXPECT_TRUE(connects(good)) << good;
  }
  EXPECT_TRUE(listens("127.0.0.1:0")) << "whatever port is free";
  EXPECT_FALSE(connects("127.0.0.1:0"));
  EXPECT_TRUE(connects("unix:/run/mta.sock"));
  EXPECT_FALSE(listens("unix:/run/mta.sock"));
  for (const auto* wrong :
       {"", "25", "localhost", ":25", "a:", "a:b", "a:65536", "a:-1", "a:+1",
        "a:25x", "::1:25", "[::1]", "[]:25", "a b:25", "unix:", "unix:mta",
        "a:99999999999999999999", "a\r\nb:25"}) {
    EXPECT_FALSE(listens(wrong)) << wrong;
    EXPECT_FALSE(connects(wrong)) << wrong;
  }
  EXPECT_TRUE(connects("unix:/" + std::string(106, 'x')));
  EXPECT_FALSE(connects("unix:/" + std::string(107, 'x')));
}

TEST(SettingsTest, DefaultsAreValid) {
  EXPECT_TRUE(ValidateSettings(Settings{}).ok());
}

// What is wrong with the defaults so changed.
std::string ProblemWith(void (*change)(Settings&)) {
  Settings settings;
  change(settings);
  return std::string(MessageOf(ValidateSettings(settings)));
}

TEST(SettingsTest, ImpossibleCombinations) {
  EXPECT_THAT(ProblemWith([](Settings& s) {
                s.tls_security_level = TlsSecurityLevel::kEncrypt;
              }),
              StartsWith("tls_security_level: encrypt needs a certificate"));
  EXPECT_THAT(ProblemWith([](Settings& s) { s.tls_key_file = "k"; }),
              StartsWith("tls_key_file: a key needs its certificate"));
  EXPECT_THAT(ProblemWith([](Settings& s) { s.backend.clear(); }),
              StartsWith("backend: is empty"));
  EXPECT_THAT(ProblemWith([](Settings& s) { s.backend.push_back("b"); }),
              StartsWith("backend: \"b\" has no port"));
  EXPECT_THAT(ProblemWith([](Settings& s) {
                s.backend = {"b:1", "b:1"};
              }),
              StartsWith("backend: \"b:1\" is given twice"));
  EXPECT_THAT(ProblemWith([](Settings& s) {
                s.backend = {"b:1", "unix:/x"};
                s.backend_tls_security_level = BackendTlsLevel::kVerify;
              }),
              StartsWith("backend_tls_security_level: verify needs a name"));
  EXPECT_THAT(ProblemWith([](Settings& s) {
                s.backend_identity = BackendIdentity::kProxy;
              }),
              StartsWith("pool_mode: a PROXY header names one client"));
  EXPECT_THAT(ProblemWith([](Settings& s) { s.backend = {"b:0"}; }),
              StartsWith("backend: port 0"));
  EXPECT_THAT(ProblemWith([](Settings& s) {
                s.upstream_proxy_protocol = UpstreamProxyProtocol::kHaproxy;
              }),
              StartsWith("upstream_proxy_protocol: no PROXY header would be"));
  EXPECT_THAT(ProblemWith([](Settings& s) { s.haproxy_networks = {"lb"}; }),
              StartsWith("haproxy_networks: "));
  EXPECT_THAT(ProblemWith([](Settings& s) {
                s.backend_backoff_min = s.backend_backoff_max * 2;
              }),
              StartsWith("backend_backoff_min: must not be more than"));
  EXPECT_THAT(ProblemWith([](Settings& s) {
                s.log_file = "mail.log";
                s.log_to = LogTo::kSyslog;
              }),
              StartsWith("log_to: goes to one place"));
  EXPECT_THAT(ProblemWith([](Settings& s) { s.group = "mail"; }),
              StartsWith("group: needs a user"));
}

TEST(SettingsTest, ImpossibleAddresses) {
  EXPECT_THAT(ProblemWith([](Settings& s) { s.listen.clear(); }),
              StartsWith("listen: is empty"));
  EXPECT_THAT(ProblemWith([](Settings& s) { s.listen = {"unix:/x"}; }),
              StartsWith("listen: clients cannot come over a unix socket"));
  EXPECT_THAT(ProblemWith([](Settings& s) { s.admin_listen = "9925"; }),
              StartsWith("admin_listen: \"9925\" has no port"));
  EXPECT_THAT(ProblemWith([](Settings& s) { s.admin_listen = "unix:/x"; }),
              StartsWith("admin_listen: takes no unix socket"));
  EXPECT_EQ(ProblemWith([](Settings& s) { s.admin_listen = "[::1]:0"; }), "");
  EXPECT_THAT(ProblemWith([](Settings& s) { s.takeover = true; }),
              StartsWith("takeover: the tlspost that runs is found by its"));
  EXPECT_THAT(ProblemWith([](Settings& s) { s.control_socket = "run/c"; }),
              StartsWith("control_socket: must be an absolute path"));
  EXPECT_THAT(ProblemWith([](Settings& s) {
                s.control_socket = "/" + std::string(103, 'c');
              }),
              StartsWith("control_socket: the path of the socket is longer"));
  EXPECT_EQ(ProblemWith([](Settings& s) {
              s.control_socket = "/" + std::string(102, 'c');
              s.takeover = true;
            }),
            "");
  EXPECT_THAT(ProblemWith([](Settings& s) { s.listen = {"smtp"}; }),
              StartsWith("listen: \"smtp\" has no port"));
}

// These three go into SMTP replies, headers and log lines.
TEST(SettingsTest, NamesCannotCarryOtherText) {
  for (const std::string wrong : {"a b", "a\r\nb", "a)b", "a;b", "[", "[]"}) {
    Settings settings;
    settings.hostname = wrong;
    EXPECT_FALSE(ValidateSettings(settings).ok()) << wrong;
    settings = Settings{};
    settings.mail_name = wrong;
    EXPECT_FALSE(ValidateSettings(settings).ok()) << wrong;
    settings = Settings{};
    settings.syslog_name = wrong;
    EXPECT_FALSE(ValidateSettings(settings).ok()) << wrong;
  }
  Settings settings;
  settings.hostname = "[IPv6:2001:db8::1]";
  EXPECT_TRUE(ValidateSettings(settings).ok());
}

TEST(SettingsTest, Warnings) {
  Settings settings;
  EXPECT_THAT(SettingsWarnings(settings),
              ElementsAre(HasSubstr("STARTTLS is not offered")));
  settings.tls_cert_file = "cert.pem";
  EXPECT_THAT(SettingsWarnings(settings), IsEmpty());
  settings.tls_security_level = TlsSecurityLevel::kEncrypt;
  EXPECT_THAT(SettingsWarnings(settings), ElementsAre(HasSubstr("RFC 3207")));
  settings.listen = {"0.0.0.0:2525"};
  EXPECT_THAT(SettingsWarnings(settings), IsEmpty());
  settings.backend_idle_timeout = Settings::Seconds(300);
  EXPECT_THAT(SettingsWarnings(settings),
              ElementsAre(HasSubstr("smtpd_timeout")));
  settings.backend_idle_timeout = Settings::Seconds(299);
  settings.backend_data_done_timeout = Settings::Seconds(599);
  EXPECT_THAT(SettingsWarnings(settings), ElementsAre(HasSubstr("4.5.3.2.6")));
}

TEST(SettingsDocumentsTest, HelpNamesEverySettingOnNarrowLines) {
  const std::string help = FormatHelp();
  for (const Setting& setting : AllSettings()) {
    EXPECT_THAT(help, HasSubstr("\n  --" + std::string(setting.name) + "="));
  }
  std::string_view rest = help;
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    ASSERT_NE(end, std::string_view::npos) << "no newline at the end";
    EXPECT_LE(end, 79u) << rest.substr(0, end);
    rest.remove_prefix(end + 1);
  }
}

// Taking the '#' off every setting of the sample gives the defaults again.
TEST(SettingsDocumentsTest, SampleSaysTheDefaults) {
  std::string active;
  size_t settings_seen = 0;
  std::string line;
  std::istringstream sample(FormatSampleToml());
  while (std::getline(sample, line)) {
    if (line.size() > 1 && line[0] == '#' && line[1] != ' ') {
      line.erase(0, 1);
      ++settings_seen;
    }
    active += line + '\n';
  }
  EXPECT_EQ(settings_seen, AllSettings().size());
  Settings settings;
  SettingOrigins origins;
  const absl::Status status =
      ReadSettingsText(active, "sample", settings, origins);
  EXPECT_TRUE(status.ok()) << MessageOf(status);
  EXPECT_EQ(origins.size(), AllSettings().size());
  EXPECT_TRUE(settings == Settings{});
}

TEST(SettingsDocumentsTest, SampleFileIsUpToDate) {
  EXPECT_EQ(ReadRepositoryFile("docker/tlspost.toml"), FormatSampleToml())
      << "run scripts/generate";
}

TEST(SettingsDocumentsTest, ReadmeTableIsUpToDate) {
  if (!std::filesystem::exists("README.md")) GTEST_SKIP() << "no README.md";
  const std::string readme = ReadRepositoryFile("README.md");
  const size_t begin = readme.find(kSettingsTableBegin);
  ASSERT_NE(begin, std::string::npos) << "no " << kSettingsTableBegin;
  const size_t end = readme.find(kSettingsTableEnd, begin);
  ASSERT_NE(end, std::string::npos) << "no " << kSettingsTableEnd;
  EXPECT_EQ(readme.substr(begin, end + kSettingsTableEnd.size() - begin),
            FormatSettingsTable())
      << "run scripts/generate";
}

TEST(SettingsDocumentsTest, Printouts) {
  EXPECT_EQ(FindPrintout("--help"), FormatHelp());
  EXPECT_EQ(FindPrintout("--print-sample"), FormatSampleToml());
  EXPECT_EQ(FindPrintout("--print-settings-table"),
            FormatSettingsTable() + "\n");
  EXPECT_EQ(FindPrintout("--print-metrics-table"), FormatMetricsTable() + "\n");
  EXPECT_EQ(FindPrintout("--print-postfix-table"), FormatPostfixTable() + "\n");
  EXPECT_THAT(FindPrintout("--version").value_or(""),
              testing::MatchesRegex("tlspost [0-9.]+\nOpenSSL 3.*\n"));
  EXPECT_EQ(FindPrintout("--listen=0.0.0.0:25"), std::nullopt);
}

}  // namespace
}  // namespace tlspost
