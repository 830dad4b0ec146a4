// What is told of the certificates that a context serves.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

#include "common/tls/tls_context.h"
#include "tests/unit/tls/test_certificates.h"

namespace tlspost::tls {
namespace {

constexpr int64_t kDay = 86400;

CertificateSource Made(const std::string& name, KeyKind kind, int days) {
  CertificateRequest request;
  request.name = name;
  request.kind = kind;
  request.ends_in_days = days;
  return SourceOf(MakeCertificate(request));
}

// Within an hour of so many days from now.
bool EndsInDays(const CertificateFacts& facts, int days) {
  const int64_t expected = time(nullptr) + days * kDay;
  return std::abs(facts.not_after_s - expected) < 3600;
}

TEST(CertificateDescribeTest, NameKeyAndEndOfEachThatIsServed) {
  ServerTlsOptions options;
  options.certificates = {Made("mx.example", KeyKind::kP256, 30),
                          Made("mx.example", KeyKind::kRsa2048, 7)};
  options.named_certificates = {
      {"other.example", {Made("other.example", KeyKind::kEd25519, 100)}}};
  const auto context = TlsContext::CreateServer(options);
  ASSERT_TRUE(context.ok()) << context.status();
  const auto& facts = (*context)->certificates();
  ASSERT_EQ(facts.size(), 3u);
  EXPECT_EQ(facts[0].name, "mx.example");
  EXPECT_EQ(facts[0].key, "ECDSA");
  EXPECT_TRUE(EndsInDays(facts[0], 30)) << facts[0].not_after_s;
  EXPECT_EQ(facts[1].name, "mx.example");
  EXPECT_EQ(facts[1].key, "RSA");
  EXPECT_TRUE(EndsInDays(facts[1], 7)) << facts[1].not_after_s;
  EXPECT_EQ(facts[2].name, "other.example");
  EXPECT_EQ(facts[2].key, "Ed25519");
  EXPECT_TRUE(EndsInDays(facts[2], 100)) << facts[2].not_after_s;
}

// A hundred names may share one certificate: it is told once.
TEST(CertificateDescribeTest, ACertificateUnderTwoNamesIsOne) {
  const CertificateSource shared = Made("mx.example", KeyKind::kP256, 30);
  ServerTlsOptions options;
  options.certificates = {Made("default.example", KeyKind::kP256, 30)};
  options.named_certificates = {{"one.example", {shared}},
                                {"two.example", {shared}}};
  const auto context = TlsContext::CreateServer(options);
  ASSERT_TRUE(context.ok()) << context.status();
  EXPECT_EQ((*context)->certificates().size(), 2u);
}

TEST(CertificateDescribeTest, AClientServesNone) {
  const auto context = TlsContext::CreateClient(ClientTlsOptions());
  ASSERT_TRUE(context.ok()) << context.status();
  EXPECT_TRUE((*context)->certificates().empty());
}

}  // namespace
}  // namespace tlspost::tls
