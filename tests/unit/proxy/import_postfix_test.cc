// From main.cf to a settings file, and the README's table of it.

#include "proxy/import/import_postfix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <string_view>

#include "common/base/status.h"
#include "proxy/config.h"
#include "proxy/import/converted_settings.h"
#include "proxy/import/postfix_table.h"
#include "proxy/settings_table.h"
#include "proxy/settings_toml.h"

namespace tlspost {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Import(std::string_view main_cf) {
  return ImportPostfix(MainCf(main_cf, "/etc/postfix"), "main.cf");
}

// What the settings file that is printed loads to.
Settings Loaded(std::string_view main_cf) {
  const std::string text = Import(main_cf);
  Settings settings;
  SettingOrigins origins;
  const absl::Status status =
      ReadSettingsText(text, "import", settings, origins);
  EXPECT_TRUE(status.ok()) << MessageOf(status) << "\n" << text;
  return settings;
}

TEST(ImportPostfix, TheHowTo) {
  const Settings settings = Loaded(
      "smtpd_tls_cert_file = /etc/ssl/mx.pem\n"
      "smtpd_tls_key_file = $smtpd_tls_cert_file\n"
      "smtpd_tls_CAfile = /etc/ssl/ca.pem\n"
      "smtpd_tls_CApath = /etc/ssl/certs\n"
      "smtpd_tls_security_level = may\n"
      "smtpd_tls_loglevel = 1\n"
      "smtpd_tls_received_header = yes\n"
      "smtp_tls_security_level = encrypt\n"
      "smtp_tls_note_starttls_offer = yes\n");
  EXPECT_EQ(settings.tls_cert_file, "/etc/ssl/mx.pem");
  EXPECT_EQ(settings.tls_key_file, "/etc/ssl/mx.pem");
  EXPECT_EQ(settings.tls_CAfile, "/etc/ssl/ca.pem");
  EXPECT_EQ(settings.tls_CApath, "/etc/ssl/certs");
  EXPECT_EQ(settings.tls_security_level, TlsSecurityLevel::kMay);
  EXPECT_TRUE(settings.tls_received_header);
  EXPECT_EQ(settings.backend_tls_security_level, BackendTlsLevel::kEncrypt);
  EXPECT_TRUE(settings.backend_tls_note_starttls_offer);
}

TEST(ImportPostfix, SeveralCertificatesAreAList) {
  EXPECT_THAT(Loaded("smtpd_tls_chain_files = /k.pem,\n  /c.pem\n"
                     "smtpd_tls_cert_file = /old.pem\n")
                  .tls_chain_files,
              ElementsAre("/k.pem", "/c.pem"));
  const Settings both = Loaded(
      "smtpd_tls_cert_file = /rsa.pem\n"
      "smtpd_tls_eccert_file = /ec.pem\nsmtpd_tls_eckey_file = /ec.key\n");
  EXPECT_THAT(both.tls_chain_files,
              ElementsAre("/ec.key", "/ec.pem", "/rsa.pem"));
  EXPECT_EQ(both.tls_cert_file, "");
}

TEST(ImportPostfix, LevelsOldAndNew) {
  EXPECT_EQ(Loaded("smtpd_use_tls = yes\n").tls_security_level,
            TlsSecurityLevel::kMay);
  EXPECT_EQ(Loaded("smtpd_enforce_tls = yes\n").tls_security_level,
            TlsSecurityLevel::kEncrypt);
  EXPECT_EQ(Loaded("smtpd_enforce_tls = yes\nsmtpd_tls_security_level = none\n")
                .tls_security_level,
            TlsSecurityLevel::kNone);
  EXPECT_EQ(
      Loaded("smtp_tls_security_level = secure\n").backend_tls_security_level,
      BackendTlsLevel::kVerify);
  const std::string dane = Import("smtp_tls_security_level = dane\n");
  EXPECT_THAT(dane, HasSubstr("\n#   smtp_tls_security_level = dane: not"));
  EXPECT_THAT(dane, Not(HasSubstr("\nbackend_tls_security_level")));
}

TEST(ImportPostfix, TheProtocolsThatApplyAtTheLevel) {
  constexpr std::string_view kBoth =
      "smtpd_tls_protocols = >=TLSv1\n"
      "smtpd_tls_mandatory_protocols = !SSLv2, !SSLv3, !TLSv1, !TLSv1.1\n";
  EXPECT_EQ(Loaded(kBoth).tls_protocols, ">=TLSv1");
  const std::string encrypt = std::string(kBoth) +
                              "smtpd_tls_security_level = encrypt\n"
                              "smtpd_tls_cert_file = /c.pem\n";
  EXPECT_EQ(Loaded(encrypt).tls_protocols, "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1");
  EXPECT_THAT(Import(encrypt), HasSubstr("smtpd_tls_protocols = >=TLSv1: does "
                                         "not apply"));
  EXPECT_THAT(Import("smtpd_tls_protocols = 0x303\n"),
              HasSubstr("smtpd_tls_protocols: not taken over"));
}

TEST(ImportPostfix, CipherGradesAreOnlyTakenWithAListOfTheirOwn) {
  EXPECT_EQ(Loaded("smtpd_tls_ciphers = high\n"
                   "tls_high_cipherlist = HIGH\n"
                   "smtpd_tls_exclude_ciphers = aNULL, MD5\n")
                .tls_cipherlist,
            "HIGH:!aNULL:!MD5");
  const std::string grade = Import("smtpd_tls_ciphers = high\n");
  EXPECT_THAT(grade, HasSubstr("#   smtpd_tls_ciphers = high: not taken over"));
  EXPECT_EQ(Loaded("smtpd_tls_ciphers = high\n").tls_cipherlist, "");
}

TEST(ImportPostfix, AddressesAndNames) {
  EXPECT_THAT(Loaded("inet_interfaces = all\n").listen,
              ElementsAre("0.0.0.0:25", "[::]:25"));
  EXPECT_THAT(Loaded("inet_interfaces = all\ninet_protocols = ipv4\n").listen,
              ElementsAre("0.0.0.0:25"));
  EXPECT_THAT(
      Loaded("inet_interfaces = $myhostname, 192.0.2.7, 2001:db8::1, [::1]\n"
             "myhostname = mx.example.org\n")
          .listen,
      ElementsAre("mx.example.org:25", "192.0.2.7:25", "[2001:db8::1]:25",
                  "[::1]:25"));
  EXPECT_THAT(Loaded("inet_interfaces = loopback-only\n").listen,
              ElementsAre("127.0.0.1:25", "[::1]:25"));
}

TEST(ImportPostfix, LimitsAndTimes) {
  const Settings settings = Loaded(
      "smtpd_timeout = ${stress?{10}:{5m}}\n"
      "smtpd_starttls_timeout = 60\n"
      "smtpd_tls_session_cache_timeout = 1d\n"
      "message_size_limit = 52428800\n"
      "smtpd_client_connection_count_limit = 20\n"
      "anvil_rate_time_unit = 1h\n"
      "smtpd_recipient_limit = 50\n"
      "smtpd_min_data_rate = 200\n");
  EXPECT_EQ(settings.command_timeout, Settings::Seconds(300));
  EXPECT_EQ(settings.data_timeout, Settings::Seconds(300));
  EXPECT_EQ(settings.tls_handshake_timeout, Settings::Seconds(60));
  EXPECT_EQ(settings.tls_session_cache_timeout, Settings::Hours(24));
  EXPECT_EQ(settings.message_size_limit, 52428800u);
  EXPECT_EQ(settings.client_connection_count_limit, 20);
  EXPECT_EQ(settings.anvil_rate_time_unit, Settings::Hours(1));
  EXPECT_EQ(settings.recipient_limit, 50);
  EXPECT_EQ(settings.min_data_rate, 200u);
}

TEST(ImportPostfix, TimesOfEveryUnit) {
  EXPECT_EQ(ConvertTime("30"), "30s");
  EXPECT_EQ(ConvertTime("5m"), "5m");
  EXPECT_EQ(ConvertTime("2d"), "48h");
  EXPECT_EQ(ConvertTime("1w"), "168h");
  EXPECT_EQ(ConvertTime("1y"), std::nullopt);
  EXPECT_EQ(ConvertTime(""), std::nullopt);
  EXPECT_EQ(ConvertTime("s"), std::nullopt);
}

TEST(ImportPostfix, WordsThatWeDoNotHave) {
  EXPECT_THAT(
      Loaded("smtpd_discard_ehlo_keywords = chunking, silent-discard, etrn\n")
          .discard_ehlo_keywords,
      ElementsAre("chunking"));
  EXPECT_THAT(Loaded("smtpd_client_event_limit_exceptions = $mynetworks\n"
                     "mynetworks = 127.0.0.0/8 [::1]/128 hash:/etc/nets\n")
                  .client_event_limit_exceptions,
              ElementsAre("127.0.0.0/8", "[::1]/128"));
  EXPECT_EQ(Loaded("smtpd_forbid_bare_newline = reject\n").bare_newline,
            BareNewline::kReject);
  EXPECT_THAT(Import("smtpd_forbid_bare_newline = no\n"),
              HasSubstr("a bare newline never ends a message"));
}

TEST(ImportPostfix, WhatIsRefusedBecomesAComment) {
  const std::string text = Import("smtpd_recipient_limit = many\n");
  EXPECT_THAT(text, HasSubstr("\n#   smtpd_recipient_limit = many: not taken"));
  EXPECT_THAT(text, Not(HasSubstr("\nrecipient_limit")));
}

TEST(ImportPostfix, WhatStaysBehindIsNamed) {
  const std::string text = Import(
      "smtpd_tls_session_cache_database = btree:${data_directory}/scache\n"
      "smtpd_tls_fancy = 1\n"
      "mydestination = $myhostname\n"
      "alias_maps = hash:/etc/aliases\n");
  EXPECT_THAT(text,
              HasSubstr("#   smtpd_tls_session_cache_database = "
                        "btree:/var/lib/postfix/scache: sessions are resumed "
                        "by tickets"));
  EXPECT_THAT(text, HasSubstr("smtpd_tls_fancy = 1: has no counterpart"));
  EXPECT_THAT(text, HasSubstr("Stays Postfix's work:\n#   alias_maps, "
                              "mydestination\n"));
}

TEST(ImportPostfix, WhatWorksOtherwiseBehindUsIsSaid) {
  EXPECT_THAT(Import("alias_maps = hash:/etc/aliases\n"),
              Not(HasSubstr("To be changed at Postfix")));
  const std::string text = Import(
      "postscreen_greet_wait = 3s\n"
      "postscreen_dnsbl_sites = bl.example\n"
      "smtpd_sasl_security_options = noanonymous, noplaintext\n");
  EXPECT_THAT(text, HasSubstr("\n# To be changed at Postfix:\n"
                              "#   postscreen_...: postscreen can stand"));
  EXPECT_THAT(text, HasSubstr("#   smtpd_sasl_security_options: noplaintext"));
  EXPECT_THAT(text, Not(HasSubstr("smtpd_sasl_tls_security_options")));
}

TEST(ImportPostfix, WhatWouldNotLoadIsSaid) {
  EXPECT_THAT(Import("smtpd_tls_security_level = encrypt\n"),
              HasSubstr("tls_security_level: encrypt needs a certificate"));
  EXPECT_THAT(Import("myhostname = $nowhere\nnonsense\n"),
              HasSubstr("$nowhere is not set in this file"));
}

TEST(ImportPostfix, ACommentIsOneLineWhateverIsInIt) {
  EXPECT_EQ(CommentLine("a\nlisten = 1\r"), "#   a listen = 1 \n");
}

// --- the table --------------------------------------------------------------

TEST(PostfixTable, NamesSettingsThatThereAre) {
  std::set<std::string_view> parameters;
  for (const PostfixRow& row : PostfixRows()) {
    for (const std::string_view name : NamesIn(row.settings)) {
      EXPECT_NE(FindSetting(name), nullptr) << name;
    }
    for (const std::string_view name : NamesIn(row.parameters)) {
      EXPECT_TRUE(parameters.insert(name).second) << name << " is there twice";
    }
    if (row.conversion != Conversion::kSame) continue;
    EXPECT_EQ(NamesIn(row.parameters).size(), NamesIn(row.settings).size())
        << row.parameters;
  }
  for (const PostfixRemark& remark : PostfixRemarks()) {
    EXPECT_EQ(parameters.count(remark.parameter), 0u) << remark.parameter;
  }
}

TEST(PostfixTable, ReadmeIsUpToDate) {
  std::ifstream file("README.md");
  std::ostringstream readme;
  readme << file.rdbuf();
  const std::string text = readme.str();
  const size_t begin = text.find(kPostfixTableBegin);
  ASSERT_NE(begin, std::string::npos) << "no " << kPostfixTableBegin;
  const size_t end = text.find(kPostfixTableEnd, begin);
  ASSERT_NE(end, std::string::npos) << "no " << kPostfixTableEnd;
  EXPECT_EQ(text.substr(begin, end + kPostfixTableEnd.size() - begin),
            FormatPostfixTable())
      << "run scripts/generate";
}

}  // namespace
}  // namespace tlspost
