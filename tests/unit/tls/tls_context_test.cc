// Certificates, keys and policies: what loads, and what each mistake says.

#include "common/tls/tls_context.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "absl/strings/escaping.h"
#include "common/base/status.h"
#include "tests/unit/tls/engine_pair.h"
#include "tests/unit/tls/raw_peer.h"
#include "tests/unit/tls/temporary_folder.h"

namespace tlspost::tls {
namespace {

std::shared_ptr<TlsContext> ServerWithKeys(std::shared_ptr<TicketKeys> keys) {
  ServerTlsOptions options;
  options.ticket_keys = std::move(keys);
  return ServerContext(options);
}

// A session with `server`, fit to be resumed.
std::unique_ptr<TlsSession> SessionWith(std::shared_ptr<TlsContext> client,
                                        std::shared_ptr<TlsContext> server) {
  EnginePair pair(std::move(client), std::move(server));
  pair.client.engine.SetServerName("mail.example");
  EXPECT_TRUE(pair.Connect());
  EXPECT_FALSE(pair.server.engine.Describe().reused);
  return pair.client.engine.TakeSession();
}

// Whether `server` resumed `session`. It must work either way.
bool Resumes(std::shared_ptr<TlsContext> client,
             std::shared_ptr<TlsContext> server, const TlsSession& session) {
  EnginePair pair(std::move(client), std::move(server));
  pair.client.engine.SetServerName("mail.example");
  pair.client.engine.SetSession(session);
  EXPECT_TRUE(pair.Connect());
  EXPECT_TRUE(Send(pair, pair.client, "NOOP\r\n"));
  EXPECT_EQ(pair.server.plaintext, "NOOP\r\n");
  const TlsDescription seen = pair.server.engine.Describe();
  EXPECT_EQ(seen.reused, pair.client.engine.Describe().reused);
  EXPECT_EQ(seen.sni, "mail.example");
  return seen.reused;
}

class TlsContextTickets : public testing::TestWithParam<TlsVersion> {};
INSTANTIATE_TEST_SUITE_P(Tls, TlsContextTickets,
                         testing::Values(TlsVersion::kTls12,
                                         TlsVersion::kTls13));

TEST_P(TlsContextTickets, AreOpenedByContextsThatShareKeysAndNoOthers) {
  const auto keys = TicketKeys::Random();
  const auto client = ClientContext(Only(GetParam()));
  const auto session = SessionWith(client, ServerWithKeys(keys));
  ASSERT_NE(session, nullptr);
  EXPECT_TRUE(Resumes(client, ServerWithKeys(keys), *session));
  EXPECT_FALSE(Resumes(client, ServerWithKeys(TicketKeys::Random()), *session));
  EXPECT_FALSE(Resumes(client, ServerWithKeys(nullptr), *session));
}

// As replicas share them: another process with the same file, in which the
// key has moved to the second place.
TEST_P(TlsContextTickets, E033OfAReplicaAreOpenedWithTheKeysOfTheFile) {
  const auto keys_of = [](const std::string& letters) {
    std::string text;
    for (const char letter : letters) {
      std::string line;
      absl::Base64Escape(std::string(TicketKeys::kKeyOctets, letter), &line);
      text += line + "\n";
    }
    auto keys = TicketKeys::Random();
    keys->Replace(*TicketKeys::Parse(text, "keys"));
    return keys;
  };
  const auto client = ClientContext(Only(GetParam()));
  const auto session = SessionWith(client, ServerWithKeys(keys_of("a")));
  ASSERT_NE(session, nullptr);
  EXPECT_TRUE(Resumes(client, ServerWithKeys(keys_of("ba")), *session));
  // An unknown key: a full handshake, and nothing the client would notice.
  EXPECT_FALSE(Resumes(client, ServerWithKeys(keys_of("b")), *session));
  // Keys that are replaced while the context is in use.
  const auto keys = keys_of("b");
  const auto server = ServerWithKeys(keys);
  EXPECT_FALSE(Resumes(client, server, *session));
  keys->Replace({keys->Current(), keys_of("a")->Current()});
  EXPECT_TRUE(Resumes(client, server, *session));
}

TEST_P(TlsContextTickets, LiveAsLongAsTheOptionsSay) {
  ServerTlsOptions options;
  options.session_lifetime = std::chrono::minutes(10);
  const auto client = ClientContext(Only(GetParam()));
  const auto session = SessionWith(client, ServerContext(options));
  ASSERT_NE(session, nullptr);
  EXPECT_EQ(SSL_SESSION_get_ticket_lifetime_hint(session->get()), 600u);
}

TEST_P(TlsContextTickets, SurviveOneRotationOfTheKeys) {
  const auto keys = TicketKeys::Random();
  const auto client = ClientContext(Only(GetParam()));
  const auto server = ServerWithKeys(keys);
  const auto session = SessionWith(client, server);
  ASSERT_NE(session, nullptr);
  keys->Rotate();
  EXPECT_TRUE(Resumes(client, server, *session));
  keys->Rotate();
  EXPECT_FALSE(Resumes(client, server, *session));
}

TEST_P(TlsContextTickets, DoNotOutliveAChangeOfTheClientCertificatePolicy) {
  const auto keys = TicketKeys::Random();
  const auto client = ClientContext(Only(GetParam()));
  const auto session = SessionWith(client, ServerWithKeys(keys));
  ASSERT_NE(session, nullptr);
  ServerTlsOptions options;
  options.ticket_keys = keys;
  options.policy.ask_client_certificate = true;
  const auto asking = ServerContext(options);
  EnginePair pair(client, asking);
  pair.client.engine.SetSession(*session);
  if (pair.Connect()) {
    EXPECT_FALSE(pair.server.engine.Describe().reused);
  }
}

TEST_P(TlsContextTickets, NeverAllowEarlyData) {
  const auto client = ClientContext(Only(GetParam()));
  const auto session = SessionWith(client, ServerWithKeys(nullptr));
  ASSERT_NE(session, nullptr);
  EXPECT_EQ(SSL_SESSION_get_max_early_data(session->get()), 0u);
}

TEST(TlsContext, E028IgnoresEarlyDataThatAClientSendsAllTheSame) {
  const auto server = ServerWithKeys(nullptr);
  RawPeer first(TLS1_3_VERSION);
  End greeted(server);
  first.PumpWith(greeted);
  SSL_SESSION* session = SSL_get1_session(first.ssl());
  ASSERT_EQ(SSL_SESSION_is_resumable(session), 1);
  ASSERT_EQ(SSL_SESSION_set_max_early_data(session, 16384), 1);
  RawPeer second(TLS1_3_VERSION);
  ASSERT_EQ(SSL_set_session(second.ssl(), session), 1);
  size_t written = 0;
  ASSERT_EQ(
      SSL_write_early_data(second.ssl(), "MAIL FROM:<>\r\n", 14, &written), 1);
  End end(server);
  second.PumpWith(end);
  EXPECT_TRUE(end.engine.established());
  EXPECT_EQ(SSL_get_early_data_status(second.ssl()), SSL_EARLY_DATA_REJECTED);
  EXPECT_EQ(end.plaintext, "");
  EXPECT_EQ(SSL_write(second.ssl(), "QUIT\r\n", 6), 6);
  second.PumpWith(end);
  EXPECT_EQ(end.plaintext, "QUIT\r\n");
  SSL_SESSION_free(session);
}

TEST(TlsContext, SendsTheIntermediates) {
  CertificateRequest request;
  request.name = "root";
  request.is_authority = true;
  const TestIdentity root = MakeCertificate(request);
  request.name = "intermediate";
  request.issuer = &root;
  const TestIdentity intermediate = MakeCertificate(request);
  request.name = "mail.example";
  request.is_authority = false;
  request.issuer = &intermediate;
  const TestIdentity leaf = MakeCertificate(request);

  ClientTlsOptions client;
  client.ca_pem = root.cert_pem;
  client.verify = true;
  ServerTlsOptions server;
  server.certificates.push_back(
      {"", "", leaf.cert_pem + intermediate.cert_pem, leaf.key_pem});
  EnginePair whole(ClientContext(client), ServerContext(server));
  whole.client.engine.SetServerName("mail.example");
  EXPECT_TRUE(whole.Connect());

  server.certificates[0].cert_pem = leaf.cert_pem;
  EnginePair without(ClientContext(client), ServerContext(server));
  without.client.engine.SetServerName("mail.example");
  EXPECT_FALSE(without.Connect());
  EXPECT_EQ(without.client.engine.failure(), TlsFailure::kUntrustedPeer);
}

TEST(TlsContext, ChecksTheNameIfItVerifies) {
  ClientTlsOptions client;
  client.ca_pem = SharedIdentity(KeyKind::kP256).cert_pem;
  client.verify = true;
  EnginePair pair(ClientContext(client), ServerContext());
  pair.client.engine.SetServerName("other.example");
  EXPECT_FALSE(pair.Connect());
  EXPECT_EQ(MessageOf(pair.client.engine.error()).substr(0, 55),
            "the certificate of the server does not verify: hostname");
}

TEST(TlsContext, E026GivesEachClientTheCertificateItCanUse) {
  ServerTlsOptions options;
  for (const KeyKind kind : {KeyKind::kP256, KeyKind::kRsa2048}) {
    options.certificates.push_back(SourceOf(SharedIdentity(kind)));
  }
  const auto server = ServerContext(options);
  ClientTlsOptions both = Only(TlsVersion::kTls12);
  EnginePair first(ClientContext(both), server);
  ASSERT_TRUE(first.Connect());
  EXPECT_EQ(first.server.engine.Describe().cipher,
            "ECDHE-ECDSA-AES128-GCM-SHA256");
  both.ciphers = "ECDHE-RSA-AES256-GCM-SHA384";
  EnginePair second(ClientContext(both), server);
  ASSERT_TRUE(second.Connect());
  EXPECT_EQ(second.server.engine.Describe().cipher,
            "ECDHE-RSA-AES256-GCM-SHA384");
}

TEST(TlsContext, RefusesTwoCertificatesWithTheSameKindOfKey) {
  ServerTlsOptions options;
  const CertificateSource source = SourceOf(SharedIdentity(KeyKind::kP256));
  options.certificates = {source, source};
  EXPECT_EQ(MessageOf(TlsContext::CreateServer(options).status()),
            "the key of certificate given as text is of the same kind as that "
            "of an earlier certificate; give one certificate for each kind "
            "(ECDSA, RSA, Ed25519)");
}

TEST(TlsContext, RefusesToServeWithoutACertificate) {
  EXPECT_EQ(MessageOf(TlsContext::CreateServer({}).status()),
            "a TLS server needs a certificate; name its file");
}

TEST(TlsContext, ChoosesAes128FirstWhateverTheClientPrefers) {
  ClientTlsOptions options;
  options.ciphersuites = "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256";
  EnginePair pair(ClientContext(options), ServerContext());
  ASSERT_TRUE(pair.Connect());
  EXPECT_EQ(pair.server.engine.Describe().cipher, "TLS_AES_128_GCM_SHA256");
}

TEST(TlsContext, NamesWhatOpenSslDoesNotAccept) {
  ServerTlsOptions options;
  options.certificates.push_back(SourceOf(SharedIdentity(KeyKind::kP256)));
  options.policy.ciphers = "NO-SUCH-CIPHER";
  EXPECT_EQ(MessageOf(TlsContext::CreateServer(options).status()),
            "tls_cipherlist: OpenSSL does not accept \"NO-SUCH-CIPHER\" "
            "(no cipher match); correct the list");
  options.policy.ciphers.clear();
  options.policy.ciphersuites = "NO_SUCH_SUITE";
  EXPECT_TRUE(MessageOf(TlsContext::CreateServer(options).status())
                  .starts_with("tls_ciphersuites: OpenSSL does not accept "
                               "\"NO_SUCH_SUITE\" ("));
  options.policy.ciphersuites.clear();
  options.policy.groups = "P-257";
  EXPECT_TRUE(MessageOf(TlsContext::CreateServer(options).status())
                  .starts_with("tls_eecdh_auto_curves: OpenSSL does not accept "
                               "\"P-257\" "));
  options.policy.groups.clear();
  options.policy.max_version = TlsVersion::kTls11;
  EXPECT_EQ(MessageOf(TlsContext::CreateServer(options).status()),
            "the highest TLS version is below the lowest one; correct one of "
            "the two");
}

TEST(TlsContext, NamesTrustThatCannotBeLoaded) {
  const TemporaryFolder folder;
  ServerTlsOptions options;
  options.certificates.push_back(SourceOf(SharedIdentity(KeyKind::kP256)));
  options.policy.ask_client_certificate = true;
  options.ca_file = "/nowhere/ca.pem";
  EXPECT_EQ(MessageOf(TlsContext::CreateServer(options).status()),
            "CA file /nowhere/ca.pem does not exist; correct the path, or put "
            "the file there");
  options.ca_file = folder.Write("ca.pem", options.certificates[0].key_pem);
  EXPECT_EQ(MessageOf(TlsContext::CreateServer(options).status()),
            "there is no certificate in CA file " + options.ca_file +
                "; put the certificate there, then its intermediates");
  options.ca_path = options.ca_file;
  options.ca_file.clear();
  EXPECT_EQ(MessageOf(TlsContext::CreateServer(options).status()),
            "CA directory " + options.ca_path +
                " is not a directory that can be read; correct the path");
}

// OpenSSL can have some 500 libraries in a process; a worker that is reloaded
// often while old sessions last must not run out of them.
TEST(TlsLibrary, IsSharedByAnyNumberOfContexts) {
  constexpr int kMoreThanLibraries = 700;
  ClientTlsOptions options;
  options.library = std::make_shared<TlsLibrary>();
  std::vector<std::shared_ptr<TlsContext>> held;
  for (int i = 0; i < kMoreThanLibraries; ++i) {
    auto context = TlsContext::CreateClient(options);
    ASSERT_TRUE(context.ok()) << context.status();
    EXPECT_EQ((*context)->library(), options.library->get());
    held.push_back(*std::move(context));
  }
}

}  // namespace
}  // namespace tlspost::tls
