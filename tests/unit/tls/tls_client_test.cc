// What a client makes of the server's certificate, with and without `verify`.

#include <gtest/gtest.h>

#include "common/base/status.h"
#include "tests/unit/tls/engine_pair.h"

namespace tlspost::tls {
namespace {

class TlsClient : public testing::TestWithParam<TlsVersion> {
 protected:
  TlsClient() {
    CertificateRequest request;
    request.is_authority = true;
    request.name = "Test CA";
    authority_ = MakeCertificate(request);
    client_.ca_pem = authority_.cert_pem;
    client_.max_version = GetParam();
    Serve({});
  }

  void Serve(CertificateRequest request) {
    if (request.issuer == nullptr) request.issuer = &authority_;
    ServerTlsOptions options;
    options.certificates.push_back(SourceOf(MakeCertificate(request)));
    server_ = ServerContext(options);
  }

  // What a client that expects `name` says of the server; the handshake must
  // work.
  PeerCertificate Trust(const std::string& name) {
    EnginePair pair(ClientContext(client_), server_);
    if (!name.empty()) pair.client.engine.SetServerName(name);
    EXPECT_TRUE(pair.Connect()) << pair.client.engine.error();
    sni_ = pair.server.engine.Describe().sni;
    return pair.client.engine.Describe().peer_certificate;
  }

  // Why a client that verifies does not like the server; "" if it does.
  std::string VerifyError(const std::string& name) {
    client_.verify = true;
    EnginePair pair(ClientContext(client_), server_);
    pair.client.engine.SetServerName(name);
    if (pair.Connect()) {
      EXPECT_EQ(pair.client.engine.Describe().peer_certificate,
                PeerCertificate::kVerified);
      return "";
    }
    EXPECT_EQ(pair.client.engine.failure(), TlsFailure::kUntrustedPeer);
    return std::string(MessageOf(pair.client.engine.error()));
  }

  TestIdentity authority_;
  ClientTlsOptions client_;
  std::shared_ptr<TlsContext> server_;
  std::string sni_;
};
INSTANTIATE_TEST_SUITE_P(Tls, TlsClient,
                         testing::Values(TlsVersion::kTls12,
                                         TlsVersion::kTls13));

TEST_P(TlsClient, SaysHowFarItTrustsAServerThatItNeedNotTrust) {
  EXPECT_EQ(Trust("mail.example"), PeerCertificate::kVerified);
  EXPECT_EQ(Trust("other.example"), PeerCertificate::kTrusted);
  EXPECT_EQ(Trust(""), PeerCertificate::kTrusted);
  client_.ca_pem = SharedIdentity(KeyKind::kP256).cert_pem;
  EXPECT_EQ(Trust("mail.example"), PeerCertificate::kUntrusted);
  EXPECT_EQ(Trust("other.example"), PeerCertificate::kUntrusted);
  client_.ca_pem.clear();
  EXPECT_EQ(Trust("mail.example"), PeerCertificate::kUntrusted);
}

TEST_P(TlsClient, DoesNotTrustAnExpiredCertificate) {
  CertificateRequest request;
  request.starts_in_days = -10;
  request.ends_in_days = -1;
  Serve(request);
  EXPECT_EQ(Trust("mail.example"), PeerCertificate::kUntrusted);
  EXPECT_EQ(Trust("other.example"), PeerCertificate::kUntrusted);
}

TEST_P(TlsClient, DoesNotTrustAServerThatVouchesForItself) {
  server_ = ServerContext();
  EXPECT_EQ(Trust("mail.example"), PeerCertificate::kUntrusted);
  EXPECT_EQ(Trust("other.example"), PeerCertificate::kUntrusted);
}

// The name is looked at before the signature.
TEST_P(TlsClient, DoesNotTrustAForgedSignatureUnderAWrongName) {
  CertificateRequest request;
  request.is_authority = true;
  request.name = "Test CA";
  const TestIdentity forger = MakeCertificate(request);
  request = {};
  request.issuer = &forger;
  Serve(request);
  EXPECT_EQ(Trust("mail.example"), PeerCertificate::kUntrusted);
  EXPECT_EQ(Trust("other.example"), PeerCertificate::kUntrusted);
}

TEST_P(TlsClient, LooksForAnAddressInTheCertificateAndDoesNotAskForIt) {
  for (const std::string address : {"192.0.2.25", "2001:db8::25"}) {
    CertificateRequest request;
    request.address = address;
    Serve(request);
    client_.verify = false;
    EXPECT_EQ(Trust(address), PeerCertificate::kVerified);
    EXPECT_EQ(sni_, "");
    EXPECT_EQ(Trust("192.0.2.99"), PeerCertificate::kTrusted);
    EXPECT_EQ(VerifyError(address), "");
    EXPECT_EQ(VerifyError("mail.example"), "");
    EXPECT_EQ(VerifyError("192.0.2.99"),
              "the certificate of the server does not verify: IP address "
              "mismatch");
  }
}

TEST_P(TlsClient, AsksWithoutATrailingDot) {
  EXPECT_EQ(Trust("mail.example."), PeerCertificate::kVerified);
  EXPECT_EQ(sni_, "mail.example");
}

// libssl forbids a session whose connection ends without a shutdown: that must
// hit a copy of it alone.
TEST_P(TlsClient, ResumesASessionAsOftenAsItLikes) {
  const auto client = ClientContext(client_);
  std::unique_ptr<TlsSession> session;
  for (int i = 0; i < 4; ++i) {
    EnginePair pair(client, server_);
    if (session != nullptr) pair.client.engine.SetSession(*session);
    ASSERT_TRUE(pair.Connect());
    ASSERT_TRUE(Send(pair, pair.server, "220 mx.example\r\n"));
    EXPECT_EQ(pair.server.engine.Describe().reused, i > 0);
    if (session == nullptr) session = pair.client.engine.TakeSession();
    ASSERT_NE(session, nullptr);
  }
}

TEST_P(TlsClient, TrustsAResumedSessionNoFurther) {
  const auto client = ClientContext(client_);
  for (const std::string name : {"other.example", "mail.example"}) {
    EnginePair first(client, server_);
    first.client.engine.SetServerName("other.example");
    ASSERT_TRUE(first.Connect());
    ASSERT_TRUE(Send(first, first.server, "220 mx.example\r\n"));
    const auto session = first.client.engine.TakeSession();
    ASSERT_NE(session, nullptr);
    EnginePair second(client, server_);
    second.client.engine.SetServerName(name);
    second.client.engine.SetSession(*session);
    ASSERT_TRUE(second.Connect());
    const TlsDescription seen = second.client.engine.Describe();
    EXPECT_TRUE(seen.reused);
    EXPECT_EQ(seen.peer_certificate, name == "mail.example"
                                         ? PeerCertificate::kVerified
                                         : PeerCertificate::kTrusted);
  }
}

}  // namespace
}  // namespace tlspost::tls
