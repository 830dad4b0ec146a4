// Which response goes out with which certificate, and when none does.

#include "common/tls/ocsp_staples.h"

#include <gtest/gtest.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>

#include "common/base/status.h"
#include "tests/unit/tls/engine_pair.h"
#include "tests/unit/tls/pem_bio.h"
#include "tests/unit/tls/raw_peer.h"
#include "tests/unit/tls/temporary_folder.h"

namespace tlspost::tls {
namespace {

X509Handle CertificateOf(const TestIdentity& identity) {
  return X509Handle(PEM_read_bio_X509(Over(identity.cert_pem).get(), nullptr,
                                      nullptr, nullptr));
}

template <typename T, typename Encode>
std::string Der(T* object, Encode encode) {
  unsigned char* der = nullptr;
  const int size = encode(object, &der);
  std::string text(reinterpret_cast<char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return text;
}

struct Answer {
  int status = V_OCSP_CERTSTATUS_GOOD;
  int from_days = -1;
  int until_days = 7;
};

// What `issuer` says of `leaf`, in DER.
std::string ResponseFor(const TestIdentity& leaf, const TestIdentity& issuer,
                        const Answer& answer = {}) {
  const X509Handle leaf_cert = CertificateOf(leaf);
  const X509Handle issuer_cert = CertificateOf(issuer);
  const KeyHandle issuer_key(PEM_read_bio_PrivateKey(
      Over(issuer.key_pem).get(), nullptr, nullptr, nullptr));
  OCSP_BASICRESP* basic = OCSP_BASICRESP_new();
  OCSP_CERTID* id =
      OCSP_cert_id_new(EVP_sha1(), X509_get_subject_name(issuer_cert.get()),
                       X509_get0_pubkey_bitstr(issuer_cert.get()),
                       X509_get0_serialNumber(leaf_cert.get()));
  ASN1_TIME* from = X509_gmtime_adj(nullptr, answer.from_days * kDaySeconds);
  ASN1_TIME* until = X509_gmtime_adj(nullptr, answer.until_days * kDaySeconds);
  const bool revoked = answer.status == V_OCSP_CERTSTATUS_REVOKED;
  EXPECT_NE(OCSP_basic_add1_status(basic, id, answer.status, 0,
                                   revoked ? from : nullptr, from, until),
            nullptr);
  EXPECT_EQ(OCSP_basic_sign(basic, issuer_cert.get(), issuer_key.get(),
                            EVP_sha256(), nullptr, 0),
            1);
  OCSP_RESPONSE* response =
      OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
  std::string der = Der(response, i2d_OCSP_RESPONSE);
  OCSP_RESPONSE_free(response);
  OCSP_BASICRESP_free(basic);
  OCSP_CERTID_free(id);
  ASN1_TIME_free(from);
  ASN1_TIME_free(until);
  return der;
}

class OcspStaplesTest : public testing::Test {
 protected:
  OcspStaplesTest() {
    CertificateRequest request;
    request.is_authority = true;
    request.name = "Test CA";
    authority_ = MakeCertificate(request);
    leaf_ = LeafFor("mail.example", KeyKind::kP256);
    options_.certificates.push_back(SourceOf(leaf_));
  }

  TestIdentity LeafFor(const std::string& name, KeyKind kind) {
    CertificateRequest request;
    request.name = name;
    request.kind = kind;
    request.issuer = &authority_;
    return MakeCertificate(request);
  }

  std::string AddResponse(const std::string& name, const std::string& der) {
    options_.ocsp_response_files.push_back(folder_.Write(name, der, 0644));
    return options_.ocsp_response_files.back();
  }

  // What a client that asks for a staple gets; "" if none. With TLS 1.3 and
  // 1.2 alike.
  std::string StapleFor(const std::string& name,
                        const char* signatures = nullptr) {
    const auto server = ServerContext(options_);
    std::string staples[2];
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      RawPeer client(version);
      SSL_set_tlsext_status_type(client.ssl(), TLSEXT_STATUSTYPE_ocsp);
      if (!name.empty()) SSL_set_tlsext_host_name(client.ssl(), name.c_str());
      if (signatures != nullptr) {
        SSL_set1_sigalgs_list(client.ssl(), signatures);
      }
      End end(server);
      client.PumpWith(end);
      EXPECT_TRUE(end.engine.established()) << end.engine.error();
      const unsigned char* der = nullptr;
      const long size = SSL_get_tlsext_status_ocsp_resp(client.ssl(), &der);
      if (size <= 0) continue;
      staples[version == TLS1_3_VERSION].assign(
          reinterpret_cast<const char*>(der), static_cast<size_t>(size));
    }
    EXPECT_EQ(staples[0], staples[1]);
    return staples[0];
  }

  std::string Error() {
    return std::string(MessageOf(TlsContext::CreateServer(options_).status()));
  }

  const TemporaryFolder folder_;
  TestIdentity authority_;
  TestIdentity leaf_;
  ServerTlsOptions options_;
};

TEST_F(OcspStaplesTest, GoOutToAClientThatAsks) {
  const std::string response = ResponseFor(leaf_, authority_);
  AddResponse("ocsp", response);
  EXPECT_TRUE(ServerContext(options_)->warnings().empty());
  EXPECT_EQ(StapleFor(""), response);
  // And to nobody else.
  EnginePair pair(ClientContext(), ServerContext(options_));
  EXPECT_TRUE(pair.Connect());
}

TEST_F(OcspStaplesTest, GoWithTheCertificateThatWasChosen) {
  const TestIdentity rsa = LeafFor("mail.example", KeyKind::kRsa2048);
  const TestIdentity named = LeafFor("named.example", KeyKind::kP256);
  options_.certificates.push_back(SourceOf(rsa));
  options_.named_certificates.push_back({"named.example", {SourceOf(named)}});
  options_.named_certificates.push_back(
      {"bare.example", {SourceOf(LeafFor("bare.example", KeyKind::kP256))}});
  // The same certificate, loaded a second time.
  options_.named_certificates.push_back({"mail.example", {SourceOf(leaf_)}});
  const std::string for_leaf = ResponseFor(leaf_, authority_);
  const std::string for_rsa = ResponseFor(rsa, authority_);
  const std::string for_named = ResponseFor(named, authority_);
  AddResponse("a", for_named);
  AddResponse("b", for_rsa);
  AddResponse("c", for_leaf);
  EXPECT_EQ(StapleFor(""), for_leaf);
  EXPECT_EQ(StapleFor("mail.example"), for_leaf);
  EXPECT_EQ(StapleFor("named.example"), for_named);
  EXPECT_EQ(StapleFor("bare.example"), "");
  EXPECT_EQ(StapleFor("", "RSA-PSS+SHA256"), for_rsa);
}

TEST_F(OcspStaplesTest, StayAtHomeWhenTheyAreOfNoUse) {
  const std::string path = AddResponse("ocsp", "");
  const auto warning_for = [&](const Answer& answer) {
    folder_.Write("ocsp", ResponseFor(leaf_, authority_, answer));
    EXPECT_EQ(StapleFor(""), "");
    const auto warnings = ServerContext(options_)->warnings();
    return warnings.size() == 1 ? warnings[0] : "not one";
  };
  const std::string title = "OCSP response file " + path + " ";
  EXPECT_EQ(warning_for({V_OCSP_CERTSTATUS_GOOD, -8, -1}),
            title + "has expired, so it is not handed out; renew it");
  EXPECT_EQ(warning_for({V_OCSP_CERTSTATUS_GOOD, 1, 8}),
            title +
                "is not valid yet, so it is not handed out; check the "
                "clock of this machine");
  EXPECT_EQ(warning_for({V_OCSP_CERTSTATUS_REVOKED, -1, 8}),
            title +
                "says that the certificate is revoked; get a new "
                "certificate");
  EXPECT_EQ(warning_for({V_OCSP_CERTSTATUS_UNKNOWN, -1, 8}),
            title +
                "says that the authority does not know the certificate; "
                "ask it again");
  const TestIdentity other = LeafFor("mail.example", KeyKind::kP256);
  folder_.Write("ocsp", ResponseFor(other, authority_));
  EXPECT_EQ(StapleFor(""), "");
  EXPECT_EQ(ServerContext(options_)->warnings(),
            std::vector<std::string>{
                title + "is about none of the certificates, so it is not "
                        "handed out; get one for the certificate in use"});
}

TEST_F(OcspStaplesTest, AreToldFromThoseOfAnotherAuthority) {
  CertificateRequest request;
  request.is_authority = true;
  request.name = "Other CA";
  const TestIdentity other = MakeCertificate(request);
  AddResponse("ocsp", ResponseFor(leaf_, other));
  EXPECT_EQ(StapleFor(""), "");
}

TEST_F(OcspStaplesTest, AreRefusedWhenTheyAreNone) {
  const std::string path = AddResponse("ocsp", "no DER");
  const std::string title = "OCSP response file " + path + " ";
  EXPECT_EQ(Error(), title +
                         "is not an OCSP response in DER; write one with: "
                         "openssl ocsp -respout FILE");
  OCSP_RESPONSE* later =
      OCSP_response_create(OCSP_RESPONSE_STATUS_TRYLATER, nullptr);
  folder_.Write("ocsp", Der(later, i2d_OCSP_RESPONSE));
  OCSP_RESPONSE_free(later);
  EXPECT_EQ(Error(), title +
                         "says that the authority had no answer "
                         "(trylater); ask it again");
  folder_.Write("ocsp", ResponseFor(leaf_, authority_));
  const std::string second =
      AddResponse("second", ResponseFor(leaf_, authority_));
  EXPECT_EQ(Error(), "OCSP response file " + second +
                         " is about the same certificate as one before it; "
                         "remove one of them");
  options_.ocsp_response_files = {"/nowhere"};
  EXPECT_EQ(Error(),
            "OCSP response file /nowhere does not exist; correct the path, or "
            "put the file there");
}

}  // namespace
}  // namespace tlspost::tls
