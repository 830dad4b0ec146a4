// The words are Postfix's: they end in the Received header and in the log.

#include "common/tls/tls_describe.h"

#include <gtest/gtest.h>
#include <openssl/crypto.h>

#include "tests/unit/tls/engine_pair.h"
#include "tests/unit/tls/temporary_folder.h"

namespace tlspost::tls {
namespace {

ServerTlsOptions With(KeyKind kind) {
  ServerTlsOptions options;
  options.certificates.push_back(SourceOf(SharedIdentity(kind)));
  return options;
}

// As the server sees it.
TlsDescription Describe(const ClientTlsOptions& client,
                        const ServerTlsOptions& server) {
  EnginePair pair(ClientContext(client), ServerContext(server));
  EXPECT_TRUE(pair.Connect());
  return pair.server.engine.Describe();
}

TEST(TlsDescribe, Tls13WithX25519AndRsa) {
  ClientTlsOptions client;
  client.groups = "X25519";
  client.ciphersuites = "TLS_AES_256_GCM_SHA384";
  const TlsDescription seen = Describe(client, With(KeyKind::kRsa2048));
  EXPECT_EQ(seen.protocol, "TLSv1.3");
  EXPECT_EQ(seen.cipher, "TLS_AES_256_GCM_SHA384");
  EXPECT_EQ(seen.iana_cipher, "TLS_AES_256_GCM_SHA384");
  EXPECT_EQ(seen.used_bits, 256);
  EXPECT_EQ(seen.algorithm_bits, 256);
  EXPECT_EQ(seen.key_exchange, "X25519");
  EXPECT_EQ(seen.key_exchange_group, "");
  EXPECT_EQ(seen.key_exchange_bits, 0);
  EXPECT_EQ(seen.server_signature.algorithm, "RSA-PSS");
  EXPECT_EQ(seen.server_signature.curve, "");
  EXPECT_EQ(seen.server_signature.bits, 2048);
  EXPECT_EQ(seen.server_signature.digest, "SHA256");
  EXPECT_EQ(seen.client_signature.algorithm, "");
  EXPECT_EQ(seen.peer_certificate, PeerCertificate::kNotRequested);
  EXPECT_EQ(seen.sni, "");
  EXPECT_FALSE(seen.reused);
}

TEST(TlsDescribe, Tls13WithCurves) {
  ClientTlsOptions client;
  client.groups = "P-384";
  const TlsDescription seen = Describe(client, With(KeyKind::kP256));
  EXPECT_EQ(seen.cipher, "TLS_AES_128_GCM_SHA256");
  EXPECT_EQ(seen.used_bits, 128);
  EXPECT_EQ(seen.key_exchange, "ECDHE");
  EXPECT_EQ(seen.key_exchange_group, "secp384r1");
  EXPECT_EQ(seen.server_signature.algorithm, "ECDSA");
  EXPECT_EQ(seen.server_signature.curve, "prime256v1");
  EXPECT_EQ(seen.server_signature.bits, 0);
  EXPECT_EQ(seen.server_signature.digest, "SHA256");
}

TEST(TlsDescribe, Tls13WithEd25519HasNoDigest) {
  const TlsDescription seen = Describe({}, With(KeyKind::kEd25519));
  EXPECT_EQ(seen.server_signature.algorithm, "ED25519");
  EXPECT_EQ(seen.server_signature.digest, "");
  EXPECT_EQ(seen.server_signature.bits, 0);
}

TEST(TlsDescribe, HybridGroupIsCalledByItsName) {
  const bool available =
      OPENSSL_version_major() > 3 ||
      (OPENSSL_version_major() == 3 && OPENSSL_version_minor() >= 5);
  if (!available) GTEST_SKIP() << "this OpenSSL has no X25519MLKEM768";
  EXPECT_EQ(Describe({}, With(KeyKind::kP256)).key_exchange, "X25519MLKEM768");
}

TEST(TlsDescribe, Tls12LeavesKeyExchangeAndSignaturesEmpty) {
  ClientTlsOptions client;
  client.max_version = TlsVersion::kTls12;
  const TlsDescription seen = Describe(client, With(KeyKind::kRsa2048));
  EXPECT_EQ(seen.protocol, "TLSv1.2");
  EXPECT_EQ(seen.cipher, "ECDHE-RSA-AES128-GCM-SHA256");
  EXPECT_EQ(seen.iana_cipher, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
  EXPECT_EQ(seen.used_bits, 128);
  EXPECT_EQ(seen.algorithm_bits, 128);
  EXPECT_EQ(seen.key_exchange, "");
  EXPECT_EQ(seen.server_signature.algorithm, "");
}

TEST(TlsDescribe, NamesWhatTheClientAskedFor) {
  EnginePair pair(ClientContext(), ServerContext());
  pair.client.engine.SetServerName("mx.unknown.example");
  ASSERT_TRUE(pair.Connect());
  EXPECT_EQ(pair.server.engine.Describe().sni, "mx.unknown.example");
}

TEST(TlsDescribe, ClientSeesTheServersSignature) {
  EnginePair pair(ClientContext(), ServerContext());
  ASSERT_TRUE(pair.Connect());
  const TlsDescription seen = pair.client.engine.Describe();
  EXPECT_EQ(seen.server_signature.algorithm, "ECDSA");
  EXPECT_EQ(seen.server_signature.curve, "prime256v1");
  EXPECT_EQ(seen.server_signature.digest, "SHA256");
  EXPECT_EQ(seen.client_signature.algorithm, "");
  EXPECT_EQ(seen.peer_certificate, PeerCertificate::kUntrusted);
  EXPECT_EQ(seen.peer_cn, "mail.example");
}

TEST(TlsDescribe, ResumedSessionWasNotSigned) {
  const auto client = ClientContext();
  const auto server = ServerContext();
  EnginePair first(client, server);
  ASSERT_TRUE(first.Connect());
  const auto session = first.client.engine.TakeSession();
  ASSERT_NE(session, nullptr);
  EnginePair second(client, server);
  second.client.engine.SetSession(*session);
  ASSERT_TRUE(second.Connect());
  const TlsDescription seen = second.server.engine.Describe();
  EXPECT_TRUE(seen.reused);
  EXPECT_EQ(seen.server_signature.algorithm, "");
  EXPECT_NE(seen.key_exchange, "");
}

class TlsDescribeClientCertificate : public testing::Test {
 protected:
  TlsDescribeClientCertificate() {
    CertificateRequest request;
    request.name = "Test CA";
    request.is_authority = true;
    authority_ = MakeCertificate(request);
    request = {};
    request.name = "client.example";
    request.issuer = &authority_;
    const TestIdentity own = MakeCertificate(request);
    client_.certificate.cert_pem = own.cert_pem;
    client_.certificate.key_pem = own.key_pem;
    server_ = With(KeyKind::kP256);
    server_.policy.ask_client_certificate = true;
  }

  TestIdentity authority_;
  ClientTlsOptions client_;
  ServerTlsOptions server_;
};

TEST_F(TlsDescribeClientCertificate, NotPresented) {
  EXPECT_EQ(Describe({}, server_).peer_certificate,
            PeerCertificate::kNotPresented);
}

TEST_F(TlsDescribeClientCertificate, E040UntrustedDoesNotEndTheHandshake) {
  const TlsDescription seen = Describe(client_, server_);
  EXPECT_EQ(seen.peer_certificate, PeerCertificate::kUntrusted);
  EXPECT_EQ(seen.peer_cn, "client.example");
  EXPECT_EQ(seen.peer_issuer_cn, "Test CA");
  EXPECT_EQ(seen.client_signature.algorithm, "ECDSA");
  EXPECT_EQ(seen.client_signature.curve, "prime256v1");
  EXPECT_EQ(seen.client_signature.digest, "SHA256");
}

TEST_F(TlsDescribeClientCertificate, E040ExpiredIsUntrusted) {
  const TemporaryFolder folder;
  server_.ca_file = folder.Write("ca.pem", authority_.cert_pem);
  CertificateRequest request;
  request.name = "client.example";
  request.issuer = &authority_;
  request.starts_in_days = -10;
  request.ends_in_days = -1;
  client_.certificate = SourceOf(MakeCertificate(request));
  const TlsDescription seen = Describe(client_, server_);
  EXPECT_EQ(seen.peer_certificate, PeerCertificate::kUntrusted);
  EXPECT_EQ(seen.peer_cn, "client.example");
}

TEST_F(TlsDescribeClientCertificate, TrustedByItsAuthority) {
  const TemporaryFolder folder;
  server_.ca_file = folder.Write("ca.pem", authority_.cert_pem);
  EXPECT_EQ(Describe(client_, server_).peer_certificate,
            PeerCertificate::kTrusted);
}

TEST_F(TlsDescribeClientCertificate, IsIgnoredWhenNotRequested) {
  server_.policy.ask_client_certificate = false;
  const TlsDescription seen = Describe(client_, server_);
  EXPECT_EQ(seen.peer_certificate, PeerCertificate::kNotRequested);
  EXPECT_EQ(seen.client_signature.algorithm, "");
}

}  // namespace
}  // namespace tlspost::tls
