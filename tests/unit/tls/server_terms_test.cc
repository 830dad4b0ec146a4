// Who gets which policy and which certificates, and that no session gets
// around either.

#include "common/tls/server_terms.h"

#include <gtest/gtest.h>
#include <openssl/x509v3.h>

#include "common/base/status.h"
#include "tests/unit/tls/engine_pair.h"
#include "tests/unit/tls/raw_peer.h"
#include "tests/unit/tls/temporary_folder.h"

namespace tlspost::tls {
namespace {

constexpr uint32_t kFirst = 1;
constexpr uint32_t kSecond = 2;

TlsPolicy From(TlsVersion version) {
  TlsPolicy policy;
  policy.min_version = version;
  return policy;
}

TlsPolicy ForName(const std::string& name, TlsVersion version) {
  TlsPolicy policy = From(version);
  policy.server_names.push_back(name);
  return policy;
}

TestIdentity IdentityOf(const std::string& name,
                        KeyKind kind = KeyKind::kP256) {
  CertificateRequest request;
  request.name = name;
  request.kind = kind;
  return MakeCertificate(request);
}

// One connection, and what came of it.
struct Play {
  Play(const ClientTlsOptions& client, std::shared_ptr<TlsContext> server,
       uint32_t candidates = 0, const std::string& name = "")
      : Play(ClientContext(client), std::move(server), candidates, name) {}
  Play(std::shared_ptr<TlsContext> client, std::shared_ptr<TlsContext> server,
       uint32_t candidates = 0, const std::string& name = "",
       const TlsSession* session = nullptr)
      : pair(std::move(client), std::move(server)) {
    if (!name.empty()) pair.client.engine.SetServerName(name);
    if (session != nullptr) pair.client.engine.SetSession(*session);
    pair.server.engine.SetPolicyCandidates(candidates);
    connected = pair.Connect();
    if (!connected) return;
    // The first read brings TLS 1.3's ticket.
    EXPECT_TRUE(Send(pair, pair.server, "220 mx.example\r\n"));
    seen = pair.server.engine.Describe();
    certificate = pair.client.engine.Describe().peer_cn;
  }

  std::string Failure() const {
    return std::string(MessageOf(pair.server.engine.error()));
  }

  EnginePair pair;
  bool connected = false;
  TlsDescription seen;      // by the server
  std::string certificate;  // the common name of the server's
};

class ServerTermsOldVersions : public testing::TestWithParam<TlsVersion> {};
INSTANTIATE_TEST_SUITE_P(Tls, ServerTermsOldVersions,
                         testing::Values(TlsVersion::kTls10,
                                         TlsVersion::kTls11));

TEST_P(ServerTermsOldVersions, E023AreRefusedUnlessAPolicyAllowsThem) {
  ServerTlsOptions options;
  options.policies.push_back(From(TlsVersion::kTls10));
  const auto server = ServerContext(options);
  const char* const name =
      GetParam() == TlsVersion::kTls10 ? "TLSv1" : "TLSv1.1";
  for (int i = 0; i < 2; ++i) {
    // In turns: the old client leaves nothing behind that helps the next one.
    const Play refused(Only(GetParam()), server);
    EXPECT_FALSE(refused.connected);
    EXPECT_EQ(refused.Failure(), "the client offers nothing newer than " +
                                     std::string(name) +
                                     ", and TLSv1.2 is required");
    const Play allowed(Only(GetParam()), server, kFirst);
    EXPECT_TRUE(allowed.connected) << allowed.Failure();
    EXPECT_EQ(allowed.seen.protocol, name);
  }
  EXPECT_EQ(Play(ClientTlsOptions(), server, kFirst).seen.protocol, "TLSv1.3");
}

TEST_P(ServerTermsOldVersions, WorkWithBothKindsOfKeysAndKeyExchanges) {
  ServerTlsOptions options;
  options.policies.push_back(From(TlsVersion::kTls10));
  for (const KeyKind kind : {KeyKind::kP256, KeyKind::kRsa2048}) {
    options.certificates.push_back(SourceOf(SharedIdentity(kind)));
  }
  const auto server = ServerContext(options);
  for (const std::string cipher :
       {"ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES256-SHA", "AES128-SHA",
        "AES256-SHA"}) {
    ClientTlsOptions client = Only(GetParam());
    client.ciphers = cipher + ":@SECLEVEL=0";
    const Play play(client, server, kFirst);
    EXPECT_TRUE(play.connected) << cipher << ": " << play.Failure();
    EXPECT_EQ(play.seen.cipher, cipher);
  }
}

TEST_P(ServerTermsOldVersions, WorkAsTheDefaultAndUnderAName) {
  ServerTlsOptions options;
  options.policy = From(TlsVersion::kTls10);
  options.policies.push_back(From(TlsVersion::kTls12));
  options.named_certificates.push_back(
      {"old.example", {SourceOf(IdentityOf("old.example"))}});
  const auto server = ServerContext(options);
  EXPECT_TRUE(Play(Only(GetParam()), server).connected);
  const Play named(Only(GetParam()), server, 0, "old.example");
  EXPECT_TRUE(named.connected) << named.Failure();
  EXPECT_EQ(named.certificate, "old.example");
  // A stricter policy takes back what the default allows.
  for (const char* name : {"", "old.example"}) {
    EXPECT_FALSE(Play(Only(GetParam()), server, kFirst, name).connected);
  }
}

TEST(ServerTerms, AllowsOldVersionsUnderANameWithItsOwnCertificate) {
  ServerTlsOptions options;
  options.policies.push_back(From(TlsVersion::kTls10));
  options.named_certificates.push_back(
      {"old.example", {SourceOf(IdentityOf("old.example"))}});
  const auto server = ServerContext(options);
  const Play play(Only(TlsVersion::kTls10), server, kFirst, "old.example");
  EXPECT_TRUE(play.connected) << play.Failure();
  EXPECT_EQ(play.certificate, "old.example");
  EXPECT_FALSE(
      Play(Only(TlsVersion::kTls10), server, 0, "old.example").connected);
}

// A TLS 1.2 client without the signature_algorithms extension, or with SHA-1
// in it only, is as old as they come.
TEST(ServerTerms, TakesSha1SignaturesOnlyWhereOldVersionsAreAllowed) {
  ServerTlsOptions options;
  options.policies.push_back(From(TlsVersion::kTls10));
  const auto server = ServerContext(options);
  for (const uint32_t candidates : {0u, kFirst}) {
    RawPeer client(TLS1_2_VERSION);
    SSL_set_security_level(client.ssl(), 0);
    ASSERT_EQ(SSL_set1_sigalgs_list(client.ssl(), "ECDSA+SHA1"), 1);
    End end(server);
    end.engine.SetPolicyCandidates(candidates);
    client.PumpWith(end);
    EXPECT_EQ(end.engine.established(), candidates == kFirst)
        << end.engine.error();
  }
}

TEST(ServerTerms, AppliesTheFirstCandidateWithTheName) {
  ServerTlsOptions options;
  options.policies = {ForName("strict.example", TlsVersion::kTls13),
                      ForName(".lan.example", TlsVersion::kTls11),
                      From(TlsVersion::kTls10)};
  const auto server = ServerContext(options);
  const auto required = [&](uint32_t candidates, const std::string& name) {
    // Nobody can meet it: what is required is in the message.
    RawPeer client(TLS1_VERSION);
    SSL_set_security_level(client.ssl(), 0);
    SSL_set_min_proto_version(client.ssl(), TLS1_VERSION);
    SSL_set_cipher_list(client.ssl(), "AES128-SHA:@SECLEVEL=0");
    if (!name.empty()) SSL_set_tlsext_host_name(client.ssl(), name.c_str());
    End end(server);
    end.engine.SetPolicyCandidates(candidates);
    client.PumpWith(end);
    return std::string(MessageOf(end.engine.error()));
  };
  const std::string start = "the client offers nothing newer than TLSv1, and ";
  EXPECT_EQ(required(0, "strict.example"), start + "TLSv1.2 is required");
  EXPECT_EQ(required(7, "strict.example"), start + "TLSv1.3 is required");
  EXPECT_EQ(required(7, "STRICT.example."), start + "TLSv1.3 is required");
  EXPECT_EQ(required(7, "a.lan.example"), start + "TLSv1.1 is required");
  EXPECT_EQ(required(kSecond, "a.lan.example"), start + "TLSv1.1 is required");
  EXPECT_EQ(required(kSecond, "lan.example"), start + "TLSv1.2 is required");
  EXPECT_EQ(required(kSecond, ""), start + "TLSv1.2 is required");
  // The third allows TLS 1.0: it fails later, at the ciphers.
  EXPECT_NE(required(7, "other.example").find("in common"), std::string::npos);
  EXPECT_NE(required(7, "").find("in common"), std::string::npos);
}

TEST(ServerTerms, AppliesCiphersAndGroupsOfThePolicy) {
  ServerTlsOptions options;
  TlsPolicy policy;
  policy.ciphers = "ECDHE-ECDSA-AES256-SHA";
  policy.ciphersuites = "TLS_CHACHA20_POLY1305_SHA256";
  policy.groups = "P-384";
  options.policies.push_back(policy);
  const auto server = ServerContext(options);
  const Play tls12(Only(TlsVersion::kTls12), server, kFirst);
  EXPECT_EQ(tls12.seen.cipher, "ECDHE-ECDSA-AES256-SHA");
  const Play tls13(Only(TlsVersion::kTls13), server, kFirst);
  EXPECT_EQ(tls13.seen.cipher, "TLS_CHACHA20_POLY1305_SHA256");
  EXPECT_EQ(tls13.seen.key_exchange_group, "secp384r1");
  const Play other(Only(TlsVersion::kTls13), server);
  EXPECT_EQ(other.seen.cipher, "TLS_AES_128_GCM_SHA256");
}

TEST(ServerTerms, AsksForACertificateWhereThePolicySaysSo) {
  const TemporaryFolder folder;
  CertificateRequest request;
  request.is_authority = true;
  const TestIdentity authority = MakeCertificate(request);
  request = {};
  request.name = "client.example";
  request.issuer = &authority;
  ClientTlsOptions client;
  client.certificate = SourceOf(MakeCertificate(request));
  ServerTlsOptions options;
  options.ca_file = folder.Write("ca.pem", authority.cert_pem);
  TlsPolicy asking;
  asking.ask_client_certificate = true;
  options.policies.push_back(asking);
  options.named_certificates.push_back(
      {"named.example", {SourceOf(IdentityOf("named.example"))}});
  const auto server = ServerContext(options);
  EXPECT_EQ(Play(client, server).seen.peer_certificate,
            PeerCertificate::kNotRequested);
  EXPECT_EQ(Play(ClientTlsOptions(), server, kFirst).seen.peer_certificate,
            PeerCertificate::kNotPresented);
  const Play trusted(client, server, kFirst);
  EXPECT_EQ(trusted.seen.peer_certificate, PeerCertificate::kTrusted);
  EXPECT_EQ(trusted.seen.peer_cn, "client.example");
  // The trust is the same whatever certificate is shown.
  const Play named(client, server, kFirst, "named.example");
  EXPECT_EQ(named.certificate, "named.example");
  EXPECT_EQ(named.seen.peer_certificate, PeerCertificate::kTrusted);

  options.policies[0].ask_client_certificate = false;
  options.policy.ask_client_certificate = true;
  const auto turned = ServerContext(options);
  EXPECT_EQ(Play(client, turned).seen.peer_certificate,
            PeerCertificate::kTrusted);
  EXPECT_EQ(Play(client, turned, kFirst).seen.peer_certificate,
            PeerCertificate::kNotRequested);
}

class ServerTermsNames : public testing::Test {
 protected:
  ServerTermsNames() {
    for (const std::string name :
         {"mx.example.org", ".example.org", ".org", "Upper.Example.COM."}) {
      const std::string shown = name.front() == '.' ? "any" + name : name;
      options_.named_certificates.push_back(
          {name, {SourceOf(IdentityOf(shown))}});
    }
    server_ = ServerContext(options_);
  }

  // What a client of TLS 1.2 and one of TLS 1.3 get that ask for `name`.
  std::string CertificateFor(const std::string& name) {
    const Play tls12(Only(TlsVersion::kTls12), server_, 0, name);
    const Play tls13(Only(TlsVersion::kTls13), server_, 0, name);
    EXPECT_EQ(tls12.certificate, tls13.certificate);
    EXPECT_EQ(tls12.seen.sni, name);
    EXPECT_EQ(tls13.seen.sni, name);
    return tls13.certificate;
  }

  ServerTlsOptions options_;
  std::shared_ptr<TlsContext> server_;
};

TEST_F(ServerTermsNames, GetTheirCertificates) {
  EXPECT_EQ(CertificateFor("mx.example.org"), "mx.example.org");
  EXPECT_EQ(CertificateFor("MX.EXAMPLE.ORG"), "mx.example.org");
  EXPECT_EQ(CertificateFor("a.example.org"), "any.example.org");
  EXPECT_EQ(CertificateFor("a.mx.example.org"), "any.example.org");
  EXPECT_EQ(CertificateFor("example.org"), "any.org");
  EXPECT_EQ(CertificateFor("upper.example.com"), "Upper.Example.COM.");
  EXPECT_EQ(Play(ClientTlsOptions(), server_).certificate, "mail.example");
}

TEST_F(ServerTermsNames, E025AnUnknownNameGetsTheDefault) {
  for (const std::string& name :
       {std::string("unknown.example"), std::string("org"),
        std::string("192.0.2.1x"), std::string("a..b"), std::string("\xff\x01"),
        std::string("m x"), std::string(255, 'a'), std::string("%s%n")}) {
    EXPECT_EQ(CertificateFor(name), "mail.example") << name;
  }
}

TEST_F(ServerTermsNames, E025ATrailingDotIsIgnored) {
  // A client of ours does not send one.
  for (const std::string name : {"mx.example.org.", "MX.example.org", "."}) {
    RawPeer client(TLS1_3_VERSION);
    ASSERT_EQ(SSL_set_tlsext_host_name(client.ssl(), name.c_str()), 1);
    End end(server_);
    client.PumpWith(end);
    ASSERT_TRUE(end.engine.established()) << end.engine.error();
    X509* shown = SSL_get0_peer_certificate(client.ssl());
    EXPECT_EQ(X509_check_host(shown, "mx.example.org", 0, 0, nullptr),
              name == "." ? 0 : 1);
    EXPECT_EQ(end.engine.Describe().sni, name);
  }
}

TEST_F(ServerTermsNames, E026HaveACertificateForEachKindOfKey) {
  options_.named_certificates[0].certificates.push_back(
      SourceOf(IdentityOf("mx.example.org", KeyKind::kRsa2048)));
  const auto server = ServerContext(options_);
  ClientTlsOptions client = Only(TlsVersion::kTls12);
  const Play ecdsa(client, server, 0, "mx.example.org");
  EXPECT_EQ(ecdsa.seen.cipher, "ECDHE-ECDSA-AES128-GCM-SHA256");
  client.ciphers = "ECDHE-RSA-AES128-GCM-SHA256";
  const Play rsa(client, server, 0, "mx.example.org");
  EXPECT_EQ(rsa.seen.cipher, "ECDHE-RSA-AES128-GCM-SHA256");
  EXPECT_EQ(rsa.certificate, "mx.example.org");
  EXPECT_FALSE(Play(client, server, 0, "a.example.org").connected);
}

TEST_F(ServerTermsNames, MayShareOneCertificate) {
  const TemporaryFolder folder;
  const TestIdentity both = IdentityOf("a.example.net");
  const std::string path =
      folder.Write("both.pem", both.cert_pem + both.key_pem, 0644);
  ServerTlsOptions options;
  for (const char* name : {"a.example.net", ".b.example.net"}) {
    options.named_certificates.push_back({name, {{path, "", "", ""}}});
  }
  const auto server = ServerContext(options);
  EXPECT_EQ(server->warnings().size(), 1u) << "of the open key file, once";
  EXPECT_EQ(Play(ClientTlsOptions(), server, 0, "a.example.net").certificate,
            "a.example.net");
  EXPECT_EQ(Play(ClientTlsOptions(), server, 0, "x.b.example.net").certificate,
            "a.example.net");
}

TEST_F(ServerTermsNames, WarnWhenTheCertificateHasAnotherName) {
  options_.named_certificates = {
      {"mx.example.org", {SourceOf(IdentityOf("mx.example.net"))}},
      {".example.org", {SourceOf(IdentityOf("mx.example.net"))}}};
  EXPECT_EQ(ServerContext(options_)->warnings(),
            std::vector<std::string>{
                "a certificate that is served as mx.example.org is not made "
                "out to that name; clients that check names will refuse it"});
}

TEST_F(ServerTermsNames, AreRefusedWhenTheyMakeNoSense) {
  const auto error_of = [this] {
    options_.certificates = {SourceOf(SharedIdentity(KeyKind::kP256))};
    return std::string(MessageOf(TlsContext::CreateServer(options_).status()));
  };
  const CertificateSource source = SourceOf(IdentityOf("a"));
  options_.named_certificates = {{"*.a", {source}}};
  EXPECT_EQ(error_of(),
            "server name \"*.a\" has a star; write .a for all names below it");
  options_.named_certificates = {{"a", {source}}, {"A.", {source}}};
  EXPECT_EQ(error_of(),
            "server name \"a\" is there twice; remove one of the entries");
  options_.named_certificates = {{"a", {}}};
  EXPECT_EQ(error_of(),
            "server name \"a\" has no certificate; name its file, or remove "
            "the entry");
  options_.named_certificates = {{"a", {{"/nowhere/a.pem", "", "", ""}}}};
  EXPECT_EQ(error_of(),
            "certificate file /nowhere/a.pem does not exist; correct the "
            "path, or put the file there");
}

TEST(ServerTerms, NamesThePolicyThatDoesNotWork) {
  ServerTlsOptions options;
  options.certificates.push_back(SourceOf(SharedIdentity(KeyKind::kP256)));
  options.policies.resize(2);
  options.policies[1].ciphers = "NO-SUCH-CIPHER";
  EXPECT_EQ(MessageOf(TlsContext::CreateServer(options).status()),
            "TLS policy 2: tls_cipherlist: OpenSSL does not accept "
            "\"NO-SUCH-CIPHER\" (no cipher match); correct the list");
  options.policies[1] = ForName("*.x", TlsVersion::kTls12);
  EXPECT_EQ(MessageOf(TlsContext::CreateServer(options).status()),
            "TLS policy 2: server name \"*.x\" has a star; write .x for all "
            "names below it");
  options.policies.assign(ServerTlsOptions::kMaxPolicies + 1, TlsPolicy());
  EXPECT_EQ(MessageOf(TlsContext::CreateServer(options).status()),
            "there are 33 TLS policies; more than 32 are not possible: join "
            "some");
  options.policies.pop_back();
  options.policies[31] = From(TlsVersion::kTls13);
  const auto server = ServerContext(options);
  EXPECT_FALSE(Play(Only(TlsVersion::kTls12), server, 1u << 31).connected);
  EXPECT_TRUE(Play(Only(TlsVersion::kTls12), server, 1u << 30).connected);
}

class ServerTermsSessions : public testing::TestWithParam<TlsVersion> {
 protected:
  ServerTermsSessions() {
    for (const char* name : {"a.example", "b.example"}) {
      options_.named_certificates.push_back(
          {name, {SourceOf(IdentityOf(name))}});
    }
    options_.policies.resize(2);
    options_.policies[0].ask_client_certificate = true;
    options_.policies[1].ciphers = "ECDHE-ECDSA-AES256-SHA";
    options_.policies[1].ciphersuites = "TLS_AES_256_GCM_SHA384";
    options_.ticket_keys = TicketKeys::Random();
    server_ = ServerContext(options_);
  }

  std::unique_ptr<TlsSession> SessionOf(const std::string& name,
                                        uint32_t candidates) {
    Play play(client_, server_, candidates, name);
    EXPECT_FALSE(play.seen.reused);
    return play.pair.client.engine.TakeSession();
  }

  bool Resumes(const TlsSession& session, const std::string& name,
               uint32_t candidates) {
    const Play play(client_, server_, candidates, name, &session);
    EXPECT_TRUE(play.connected) << play.Failure();
    return play.seen.reused;
  }

  ServerTlsOptions options_;
  const std::shared_ptr<TlsContext> client_ = ClientContext(Only(GetParam()));
  std::shared_ptr<TlsContext> server_;
};
INSTANTIATE_TEST_SUITE_P(Tls, ServerTermsSessions,
                         testing::Values(TlsVersion::kTls12,
                                         TlsVersion::kTls13));

TEST_P(ServerTermsSessions, AreResumedUnderTheSameTerms) {
  for (const char* name : {"", "a.example", "unknown.example"}) {
    for (const uint32_t candidates : {0u, kFirst, kSecond}) {
      SCOPED_TRACE(testing::Message() << name << " " << candidates);
      const auto session = SessionOf(name, candidates);
      ASSERT_NE(session, nullptr);
      EXPECT_TRUE(Resumes(*session, name, candidates));
    }
  }
}

TEST_P(ServerTermsSessions, AreNotResumedUnderAnotherCertificate) {
  const auto session = SessionOf("a.example", 0);
  ASSERT_NE(session, nullptr);
  EXPECT_FALSE(Resumes(*session, "b.example", 0));
  EXPECT_FALSE(Resumes(*session, "unknown.example", 0));
  EXPECT_TRUE(Resumes(*session, "A.Example", 0));
  const auto plain = SessionOf("unknown.example", 0);
  ASSERT_NE(plain, nullptr);
  EXPECT_FALSE(Resumes(*plain, "a.example", 0));
  EXPECT_TRUE(Resumes(*plain, "other.example", 0));
}

TEST_P(ServerTermsSessions, AreNotResumedUnderAnotherPolicy) {
  for (const uint32_t before : {0u, kFirst, kSecond}) {
    const auto session = SessionOf("a.example", before);
    ASSERT_NE(session, nullptr);
    for (const uint32_t after : {0u, kFirst, kSecond}) {
      EXPECT_EQ(Resumes(*session, "a.example", after), after == before)
          << "made under " << before << ", offered under " << after;
    }
  }
}

TEST_P(ServerTermsSessions, E034OutliveARenewalOfTheCertificate) {
  const auto session = SessionOf("a.example", 0);
  ASSERT_NE(session, nullptr);
  Play old(client_, server_, 0, "a.example");
  options_.certificates = {SourceOf(IdentityOf("new.default.example"))};
  options_.named_certificates[0].certificates = {
      SourceOf(IdentityOf("a.example", KeyKind::kP384))};
  server_ = ServerContext(options_);
  EXPECT_TRUE(Resumes(*session, "a.example", 0));
  EXPECT_EQ(Play(client_, server_).certificate, "new.default.example");
  // Who was connected before stays so.
  EXPECT_TRUE(Send(old.pair, old.pair.client, "NOOP\r\n"));
  EXPECT_EQ(old.pair.server.plaintext, "NOOP\r\n");
  // But not a change of what is asked of the client.
  options_.policy.ask_client_certificate = true;
  server_ = ServerContext(options_);
  EXPECT_FALSE(Resumes(*session, "a.example", 0));
}

}  // namespace
}  // namespace tlspost::tls
