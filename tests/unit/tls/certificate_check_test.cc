// What is said of chains, good and bad, before they are served. That OpenSSL's
// own command says the same is seen by the end-to-end tests.

#include "common/tls/certificate_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "tests/unit/tls/temporary_folder.h"
#include "tests/unit/tls/test_certificates.h"

namespace tlspost::tls {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class CertificateCheck : public testing::Test {
 protected:
  CertificateCheck() {
    root_ = Make("Root", nullptr, /*is_authority=*/true);
    middle_ = Make("Middle", &root_, /*is_authority=*/true);
    leaf_ = Make("mx.example", &middle_);
    // What OpenSSL takes for the system's authorities.
    setenv("SSL_CERT_FILE", folder_.Write("root.pem", root_.cert_pem).c_str(),
           1);
    setenv("SSL_CERT_DIR", folder_.Path("none").c_str(), 1);
  }
  ~CertificateCheck() override {
    unsetenv("SSL_CERT_FILE");
    unsetenv("SSL_CERT_DIR");
  }

  static TestIdentity Make(const std::string& name, const TestIdentity* issuer,
                           bool is_authority = false,
                           const std::string& usage = "", int ends = 30) {
    CertificateRequest request;
    request.name = name;
    request.issuer = issuer;
    request.is_authority = is_authority;
    request.usage = usage;
    request.starts_in_days = -10;
    request.ends_in_days = ends;
    return MakeCertificate(request);
  }

  CertificateReport Inspect(const TestIdentity& leaf, const std::string& behind,
                            const std::vector<std::string>& names = {}) {
    CertificateSource source;
    source.cert_file = folder_.Write("cert.pem", leaf.cert_pem + behind);
    source.key_file = folder_.Write("key.pem", leaf.key_pem);
    return InspectCertificate(source, names, /*strict_key_permissions=*/false);
  }

  TemporaryFolder folder_;
  TestIdentity root_;
  TestIdentity middle_;
  TestIdentity leaf_;
};

TEST_F(CertificateCheck, AGoodChainIsGood) {
  const auto report = Inspect(leaf_, middle_.cert_pem, {"mx.example"});
  EXPECT_TRUE(report.readable.ok());
  EXPECT_TRUE(report.usable.ok()) << report.usable;
  EXPECT_TRUE(report.chain.good()) << report.chain.reason;
  EXPECT_EQ(report.intermediates, 1u);
  EXPECT_THAT(report.warnings, IsEmpty());
  EXPECT_THAT(report.order_problems, IsEmpty());
  EXPECT_THAT(report.names, ElementsAre("mx.example"));
  EXPECT_THAT(report.foreign_names, IsEmpty());
  // A second may have passed since it was made.
  EXPECT_THAT(report.days_left, AnyOf(29, 30));
  EXPECT_FALSE(report.ends_soon);
}

TEST_F(CertificateCheck, AMissingIntermediateIsNamedWithItsSubject) {
  const auto report = Inspect(leaf_, "");
  EXPECT_EQ(report.chain.reason, "unable to get local issuer certificate");
  EXPECT_EQ(report.chain.depth, 0);
  EXPECT_EQ(report.chain.subject, "CN = mx.example");
  EXPECT_THAT(report.chain.remedy, HasSubstr("(CN = Middle)"));
  EXPECT_FALSE(report.chain.is_self_made);
}

TEST_F(CertificateCheck, TheChainIsJudgedWithoutItsKey) {
  CertificateSource source;
  source.cert_file =
      folder_.Write("cert.pem", leaf_.cert_pem + middle_.cert_pem);
  source.key_file = folder_.Write("key.pem", root_.key_pem);
  const auto report = InspectCertificate(source, {}, false);
  EXPECT_TRUE(report.chain.good());
  EXPECT_THAT(MessageOf(report.usable), HasSubstr("does not belong"));
}

TEST_F(CertificateCheck, SelfMadeIsToldFromBroken) {
  const auto own = Make("mx.example", nullptr);
  const auto report = Inspect(own, "");
  EXPECT_FALSE(report.chain.good());
  EXPECT_TRUE(report.chain.is_self_made);

  const auto other_root = Make("Other", nullptr, true);
  const auto other = Make("mx.example", &other_root);
  EXPECT_TRUE(Inspect(other, other_root.cert_pem).chain.is_self_made);
}

TEST_F(CertificateCheck, WrongPurposeAndExpiryAreErrors) {
  const auto client = Make("mx.example", &middle_, false, "clientAuth");
  EXPECT_THAT(Inspect(client, middle_.cert_pem).chain.reason,
              testing::StartsWith("unsu"));
  const auto expired = Make("mx.example", &middle_, false, "", -3);
  const auto report = Inspect(expired, middle_.cert_pem);
  EXPECT_EQ(report.chain.reason, "certificate has expired");
  EXPECT_EQ(report.chain.remedy, "renew it");
  EXPECT_THAT(report.days_left, AnyOf(-3, -4));
  // Once is enough.
  EXPECT_THAT(report.warnings, IsEmpty());
}

TEST_F(CertificateCheck, AlmostExpiredIsSaidUnlessItsLifeIsShort) {
  const auto soon = Make("mx.example", &middle_, false, "", 3);
  EXPECT_TRUE(Inspect(soon, middle_.cert_pem).ends_soon);
  const auto later = Make("mx.example", &middle_, false, "", 6);
  EXPECT_FALSE(Inspect(later, middle_.cert_pem).ends_soon);
}

TEST_F(CertificateCheck, OrderIsJudged) {
  const auto second = Make("Second", &middle_, true);
  const auto leaf = Make("mx.example", &second);
  const auto swapped = Inspect(leaf, middle_.cert_pem + second.cert_pem);
  EXPECT_TRUE(swapped.chain.good());  // OpenSSL sorts
  ASSERT_THAT(swapped.order_problems, SizeIs(2));
  EXPECT_THAT(swapped.order_problems[0], HasSubstr("(CN = Middle)"));
  EXPECT_THAT(swapped.order_problems[0], HasSubstr("directly behind"));

  const auto stranger = Make("Stranger", nullptr, true);
  const auto useless = Inspect(leaf_, middle_.cert_pem + stranger.cert_pem);
  ASSERT_THAT(useless.order_problems, SizeIs(1));
  EXPECT_THAT(useless.order_problems[0], HasSubstr("take it out"));
}

TEST_F(CertificateCheck, NamesThatItDoesNotHaveAreListed) {
  const auto report =
      Inspect(leaf_, middle_.cert_pem, {"MX.example", "mail.example"});
  EXPECT_THAT(report.foreign_names, ElementsAre("mail.example"));
}

TEST_F(CertificateCheck, KeyPermissionsAreWarnedOfOrRefused) {
  CertificateSource source;
  source.cert_file =
      folder_.Write("cert.pem", leaf_.cert_pem + middle_.cert_pem);
  source.key_file = folder_.Write("open.pem", leaf_.key_pem, 0644);
  EXPECT_THAT(InspectCertificate(source, {}, false).warnings,
              ElementsAre(HasSubstr("chmod 600")));
  EXPECT_THAT(MessageOf(InspectCertificate(source, {}, true).usable),
              HasSubstr("chmod 600"));
}

TEST_F(CertificateCheck, AFileThatIsNotThere) {
  CertificateSource source;
  source.cert_file = folder_.Path("nowhere.pem");
  const auto report = InspectCertificate(source, {"mx.example"}, false);
  EXPECT_THAT(MessageOf(report.readable), HasSubstr("does not exist"));
  EXPECT_EQ(MessageOf(report.readable), MessageOf(report.usable));
}

TEST_F(CertificateCheck, AuthoritiesAreCounted) {
  const std::string file =
      folder_.Write("cas.pem", root_.cert_pem + middle_.cert_pem);
  std::filesystem::create_directory(folder_.Path("cas"));
  folder_.Write("cas/root.pem", root_.cert_pem);
  const auto unlinked = InspectAuthorities(file, folder_.Path("cas"));
  ASSERT_TRUE(unlinked.ok()) << unlinked.status();
  EXPECT_EQ(unlinked->in_file, 2u);
  EXPECT_EQ(unlinked->in_directory, 0u);
  EXPECT_THAT(unlinked->warnings, ElementsAre(HasSubstr("openssl rehash")));

  folder_.Write("cas/0123abcd.0", root_.cert_pem);
  const auto linked = InspectAuthorities("", folder_.Path("cas"));
  ASSERT_TRUE(linked.ok());
  EXPECT_EQ(linked->in_directory, 1u);
  EXPECT_THAT(linked->warnings, IsEmpty());

  EXPECT_FALSE(InspectAuthorities(folder_.Path("nowhere"), "").ok());
}

}  // namespace
}  // namespace tlspost::tls
