// The parts of `tlspost check` that need no backend: findings of settings,
// certificates and the machine. What they look like from outside is the
// end-to-end tests'.

#include "proxy/check/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/unit/tls/temporary_folder.h"
#include "tests/unit/tls/test_certificates.h"

namespace tlspost {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

testing::Matcher<Finding> Is(Verdict verdict, const std::string& thing,
                             const std::string& text) {
  return AllOf(Field("verdict", &Finding::verdict, verdict),
               Field("thing", &Finding::thing, thing),
               Field("text", &Finding::text, HasSubstr(text)));
}

std::vector<Finding> OfSettings(std::vector<const char*> args,
                                bool expect_settings) {
  std::vector<Finding> findings;
  EXPECT_EQ(CheckSettings(args, findings).has_value(), expect_settings);
  return findings;
}

TEST(CheckSettings, SaysAllErrorsAtOnce) {
  const auto findings =
      OfSettings({"--workers=many", "--nonsense=1", "--hostname=mx.test"},
                 /*expect_settings=*/false);
  ASSERT_THAT(findings, SizeIs(3));
  EXPECT_THAT(findings[0], Is(Verdict::kFail, "settings", "--workers"));
  EXPECT_THAT(findings[1], Is(Verdict::kFail, "settings", "--nonsense"));
  EXPECT_EQ(findings[2].verdict, Verdict::kNote);
  // What does not go together, too, each for itself.
  EXPECT_THAT(OfSettings({"--hostname=a b", "--backend=nowhere"},
                         /*expect_settings=*/false),
              SizeIs(3));
}

TEST(CheckSettings, SaysWhatIsUnwise) {
  const auto findings =
      OfSettings({"--hostname=mx", "--tls_security_level=none"},
                 /*expect_settings=*/true);
  EXPECT_THAT(findings, Contains(Is(Verdict::kWarn, "hostname", "no full")));
  EXPECT_THAT(OfSettings({"--hostname=[192.0.2.1]"}, true),
              Not(Contains(Field(&Finding::thing, "hostname"))));
}

TEST(CheckCertificates, SaysEachFaultOnceAtItsSetting) {
  const tls::TemporaryFolder folder;
  const tls::TestIdentity& own = tls::SharedIdentity(tls::KeyKind::kP256);
  Settings settings;
  settings.hostname = "mail.example";
  settings.tls_cert_file = folder.Write("cert.pem", own.cert_pem);
  settings.tls_key_file = folder.Write("key.pem", own.key_pem, 0644);
  TlsLoader loader(settings, 1);
  TlsLoader::Loaded loaded;
  std::vector<Finding> findings;
  CheckCertificates(settings, loader, loaded, findings);
  EXPECT_THAT(findings, Contains(Is(Verdict::kWarn, settings.tls_cert_file,
                                    "self-signed certificate")));
  EXPECT_THAT(findings,
              Contains(Is(Verdict::kWarn, "tls_key_file", "chmod 600")));
  EXPECT_EQ(std::count_if(findings.begin(), findings.end(),
                          [](const Finding& finding) {
                            return finding.text.find("chmod 600") !=
                                   std::string::npos;
                          }),
            1);
  EXPECT_THAT(findings, Contains(Is(Verdict::kOk, "TLS", "go together")));
  // It is what connections to the backend would use, too.
  EXPECT_NE(loaded.workers.front().clients, nullptr);
}

TEST(CheckCertificates, SaysWhatOnlyTheServerWouldFind) {
  const tls::TemporaryFolder folder;
  const tls::TestIdentity& own = tls::SharedIdentity(tls::KeyKind::kP256);
  Settings settings;
  settings.hostname = "mail.example";
  settings.tls_cert_file = folder.Write("cert.pem", own.cert_pem + own.key_pem);
  settings.tls_key_file = settings.tls_cert_file;
  settings.tls_cipherlist = "NONSENSE";
  TlsLoader loader(settings, 1);
  TlsLoader::Loaded loaded;
  std::vector<Finding> findings;
  CheckCertificates(settings, loader, loaded, findings);
  EXPECT_THAT(findings, Contains(Is(Verdict::kFail, "TLS", "NONSENSE")));
}

TEST(CheckMachine, LooksAtPortsLimitsAndTheLog) {
  Settings settings;
  settings.workers = 1;
  settings.max_connections = 10;
  settings.listen = {"192.0.2.1:2525"};  // no address of this machine
  settings.admin_listen = "0.0.0.0:9925";
  settings.log_file = "/nowhere/log";
  std::vector<Finding> findings;
  CheckMachine(settings, findings);
  EXPECT_THAT(findings, Contains(Is(Verdict::kFail, "listen 192.0.2.1:2525",
                                    "no interface of this machine")));
  EXPECT_THAT(findings, Contains(Is(Verdict::kFail, "admin_listen",
                                    "admin_allow_remote")));
  EXPECT_THAT(findings,
              Contains(Is(Verdict::kFail, "log_file", "/nowhere/log")));
  EXPECT_THAT(findings, Contains(Is(Verdict::kOk, "open files", "10")));
  EXPECT_THAT(findings, Contains(Is(Verdict::kOk, "io_engine", "1 workers")));
  EXPECT_THAT(findings, Contains(Field(&Finding::thing, "clock")));
}

TEST(CheckPrivileges, AUserThatIsNotThereFails) {
  Settings settings;
  settings.user = "no-such-user-here";
  std::vector<Finding> findings;
  CheckPrivileges(settings, findings);
  EXPECT_THAT(findings, Contains(Is(Verdict::kFail, "user", "useradd")));
}

TEST(CheckPrivileges, AnOpenSandboxIsNoted) {
  Settings settings;
  settings.sandbox = false;
  std::vector<Finding> findings;
  CheckPrivileges(settings, findings);
  EXPECT_THAT(findings, Contains(Is(Verdict::kNote, "sandbox", "core dumps")));
}

}  // namespace
}  // namespace tlspost
