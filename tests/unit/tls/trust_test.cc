// Where authorities come from, and what is said when none do.

#include "common/tls/trust.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <filesystem>

#include "absl/strings/str_format.h"
#include "common/tls/openssl_handles.h"
#include "tests/unit/tls/engine_pair.h"
#include "tests/unit/tls/temporary_folder.h"

namespace tlspost::tls {
namespace {

class Trust : public testing::Test {
 protected:
  Trust() {
    CertificateRequest request;
    request.is_authority = true;
    request.name = "Test CA";
    authority_ = MakeCertificate(request);
    request = {};
    request.issuer = &authority_;
    server_.certificates.push_back(SourceOf(MakeCertificate(request)));
    client_.verify = true;
    std::filesystem::create_directory(directory_);
  }

  bool Trusts() {
    EnginePair pair(ClientContext(client_), ServerContext(server_));
    return pair.Connect();
  }

  // The name that OpenSSL looks for.
  std::string HashName() const {
    const BioHandle bio(
        BIO_new_mem_buf(authority_.cert_pem.data(),
                        static_cast<int>(authority_.cert_pem.size())));
    const X509Handle certificate(
        PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    return absl::StrFormat("%08x.0", X509_subject_name_hash(certificate.get()));
  }

  const TemporaryFolder folder_;
  const std::string directory_ = folder_.Path("certs");
  TestIdentity authority_;
  ServerTlsOptions server_;
  ClientTlsOptions client_;
};

std::string TicketOf(const TlsSession& session) {
  const unsigned char* ticket = nullptr;
  size_t size = 0;
  SSL_SESSION_get0_ticket(session.get(), &ticket, &size);
  return std::string(reinterpret_cast<const char*>(ticket), size);
}

TEST_F(Trust, ComesFromAFileOfSeveralAndIsCounted) {
  client_.ca_file = folder_.Write(
      "ca.pem", SharedIdentity(KeyKind::kP256).cert_pem + authority_.cert_pem);
  EXPECT_TRUE(Trusts());
  EXPECT_EQ(ClientContext(client_)->trusted_authorities(), 2u);
  EXPECT_EQ(ClientContext()->trusted_authorities(), 0u);
}

TEST_F(Trust, OfAServerIsCountedWhenAnyPolicyAsks) {
  server_.ca_file = folder_.Write("ca.pem", authority_.cert_pem);
  EXPECT_EQ(ServerContext(server_)->trusted_authorities(), 0u);
  server_.policies.resize(1);
  server_.policies[0].ask_client_certificate = true;
  EXPECT_EQ(ServerContext(server_)->trusted_authorities(), 1u);
}

TEST_F(Trust, ComesFromADirectoryWithHashLinks) {
  client_.ca_path = directory_;
  folder_.Write("certs/test-ca.pem", authority_.cert_pem);
  EXPECT_EQ(ClientContext(client_)->warnings(),
            std::vector<std::string>{
                "CA directory " + directory_ +
                " holds certificates but no hash links to them, so none is "
                "found; make the links with: openssl rehash " +
                directory_});
  EXPECT_FALSE(Trusts());
  std::filesystem::create_symlink("test-ca.pem", directory_ + "/" + HashName());
  EXPECT_TRUE(ClientContext(client_)->warnings().empty());
  EXPECT_TRUE(Trusts());
}

// Edges 34 and 40: a client is not trusted for longer, nor distrusted for
// longer, than the authorities say, however often it resumes.
TEST_F(Trust, E034OtherAuthoritiesEndASessionWithACertificate) {
  const std::string other = SharedIdentity(KeyKind::kP256).cert_pem;
  server_.policy.ask_client_certificate = true;
  server_.ticket_keys = TicketKeys::Random();
  CertificateRequest request;
  request.name = "partner.example";
  request.issuer = &authority_;
  client_.certificate = SourceOf(MakeCertificate(request));
  client_.ca_pem = authority_.cert_pem;
  const auto client = ClientContext(client_);
  for (const bool withdrawn : {false, true}) {
    server_.ca_file = folder_.Write("ca.pem", authority_.cert_pem);
    EnginePair first(client, ServerContext(server_));
    ASSERT_TRUE(first.Connect());
    EXPECT_EQ(first.server.engine.Describe().peer_certificate,
              PeerCertificate::kTrusted);
    const auto session = first.client.engine.TakeSession();
    ASSERT_NE(session, nullptr);
    if (withdrawn) folder_.Write("ca.pem", other);
    // The ticket is now due to be renewed.
    server_.ticket_keys->Rotate();
    EnginePair pair(client, ServerContext(server_));
    pair.client.engine.SetSession(*session);
    ASSERT_TRUE(pair.Connect());
    const TlsDescription seen = pair.server.engine.Describe();
    EXPECT_EQ(seen.reused, !withdrawn);
    EXPECT_EQ(seen.peer_certificate, withdrawn ? PeerCertificate::kUntrusted
                                               : PeerCertificate::kTrusted);
    // A resumed session gets no ticket of its own: the first one's time ends.
    const auto next = pair.client.engine.TakeSession();
    ASSERT_NE(next, nullptr);
    EXPECT_EQ(TicketOf(*next) == TicketOf(*session), !withdrawn);
  }
}

TEST_F(Trust, SaysThatADirectoryIsEmpty) {
  server_.policy.ask_client_certificate = true;
  server_.ca_path = directory_;
  folder_.Write("certs/README", "put them here");
  folder_.Write("certs/0123456.0", "seven digits");
  folder_.Write("certs/012345678.0", "nine digits");
  folder_.Write("certs/01234567.r0", "a list of revoked ones");
  EXPECT_EQ(ServerContext(server_)->warnings(),
            std::vector<std::string>{"CA directory " + directory_ +
                                     " holds no certificates; put them there, "
                                     "then run: openssl rehash " +
                                     directory_});
}

}  // namespace
}  // namespace tlspost::tls
