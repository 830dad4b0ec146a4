// Through TlsContext, because that is where an administrator's mistakes arrive.

#include "common/tls/certificate.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "common/base/status.h"
#include "common/tls/tls_context.h"
#include "tests/unit/tls/temporary_folder.h"
#include "tests/unit/tls/test_certificates.h"

namespace tlspost::tls {
namespace {

class Certificate : public testing::Test {
 protected:
  // The message of the error, or "OK".
  std::string Load(const std::string& cert_file, const std::string& key_file) {
    ServerTlsOptions options;
    options.certificates.push_back({cert_file, key_file, "", ""});
    options.strict_key_permissions = strict_;
    const auto context = TlsContext::CreateServer(options);
    warnings_.clear();
    if (!context.ok()) return std::string(MessageOf(context.status()));
    warnings_ = (*context)->warnings();
    return "OK";
  }

  const TemporaryFolder folder_;
  const TestIdentity& identity_ = SharedIdentity(KeyKind::kP256);
  bool strict_ = false;
  std::vector<std::string> warnings_;
};

TEST_F(Certificate, LoadsEachKindOfKey) {
  for (const KeyKind kind :
       {KeyKind::kP256, KeyKind::kP384, KeyKind::kRsa2048, KeyKind::kEd25519}) {
    const TestIdentity& identity = SharedIdentity(kind);
    const std::string cert = folder_.Write("cert.pem", identity.cert_pem, 0644);
    const std::string key = folder_.Write("key.pem", identity.key_pem);
    EXPECT_EQ(Load(cert, key), "OK");
    EXPECT_TRUE(warnings_.empty());
  }
}

TEST_F(Certificate, LoadsOneFileWithBothInAnyOrder) {
  EXPECT_EQ(
      Load(folder_.Write("a", identity_.cert_pem + identity_.key_pem), ""),
      "OK");
  EXPECT_EQ(
      Load(folder_.Write("b", identity_.key_pem + identity_.cert_pem), ""),
      "OK");
  EXPECT_TRUE(warnings_.empty());
}

TEST_F(Certificate, LoadsATraditionalKeyBehindItsParameters) {
  const std::string parameters =
      "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n"
      "-----END EC PARAMETERS-----\n";
  const std::string key = TraditionalKey(identity_.key_pem, nullptr);
  ASSERT_NE(key.find("BEGIN EC PRIVATE KEY"), std::string::npos);
  EXPECT_EQ(Load(folder_.Write("a", parameters + key + identity_.cert_pem), ""),
            "OK");
}

TEST_F(Certificate, LoadsFromText) {
  ServerTlsOptions options;
  options.certificates.push_back(
      {"", "", identity_.key_pem + identity_.cert_pem, ""});
  EXPECT_TRUE(TlsContext::CreateServer(options).ok());
  options.certificates[0].cert_pem = "nothing";
  EXPECT_EQ(MessageOf(TlsContext::CreateServer(options).status()),
            "certificate given as text is not PEM (it has no complete "
            "-----BEGIN ... -----END block)");
}

TEST_F(Certificate, NamesAMissingFile) {
  const std::string cert = folder_.Write("cert.pem", identity_.cert_pem);
  EXPECT_EQ(Load("/nowhere/cert.pem", cert),
            "certificate file /nowhere/cert.pem does not exist; correct the "
            "path, or put the file there");
  EXPECT_EQ(Load(cert, "/nowhere/key.pem"),
            "key file /nowhere/key.pem does not exist; correct the path, or "
            "put the file there");
}

TEST_F(Certificate, SaysThatAFileIsNotPem) {
  const std::string der =
      folder_.Write("cert.der", CertificateDer(identity_.cert_pem));
  EXPECT_EQ(Load(der, ""),
            "certificate file " + der +
                " is not PEM (it has no complete -----BEGIN ... -----END "
                "block); if it is DER, convert it with: openssl x509 -inform "
                "DER -in " +
                der + " -out NEWFILE");
  const std::string cert = folder_.Write("cert.pem", identity_.cert_pem);
  const std::string empty = folder_.Write("empty.pem", "");
  EXPECT_EQ(Load(cert, empty),
            "key file " + empty +
                " is not PEM (it has no complete -----BEGIN ... -----END "
                "block); if it is DER, convert it with: openssl pkey -inform "
                "DER -in " +
                empty + " -out NEWFILE");
}

TEST_F(Certificate, SaysWhichPartIsMissing) {
  const std::string cert = folder_.Write("cert.pem", identity_.cert_pem);
  const std::string key = folder_.Write("key.pem", identity_.key_pem);
  EXPECT_EQ(Load(key, key),
            "there is no certificate in certificate file " + key +
                "; put the certificate there, then its intermediates");
  EXPECT_EQ(Load(cert, ""), "there is no private key in certificate file " +
                                cert +
                                "; add it there, or name its own file as the "
                                "key file");
  EXPECT_EQ(Load(cert, cert), "there is no private key in key file " + cert +
                                  "; add it there, or name its own file as "
                                  "the key file");
}

TEST_F(Certificate, SaysWhichCertificateIsDamaged) {
  std::string damaged = SharedIdentity(KeyKind::kRsa2048).cert_pem;
  damaged.replace(100, 4, "!!!!");
  const std::string path =
      folder_.Write("cert.pem", identity_.cert_pem + damaged);
  EXPECT_EQ(Load(path, path),
            "certificate 2 in certificate file " + path +
                " cannot be decoded (OpenSSL: bad base64 decode); copy the "
                "file anew from its source");
  std::string nonsense = identity_.cert_pem;
  nonsense.replace(28, 4, "AAAA");
  const std::string other = folder_.Write("other.pem", nonsense);
  EXPECT_EQ(Load(other, other)
                .rfind("certificate 1 in certificate file " + other +
                           " cannot be decoded",
                       0),
            0u);
}

TEST_F(Certificate, SaysThatAKeyIsDamaged) {
  std::string damaged = identity_.key_pem;
  damaged.replace(60, 4, "!!!!");
  const std::string cert = folder_.Write("cert.pem", identity_.cert_pem);
  const std::string key = folder_.Write("key.pem", damaged);
  EXPECT_EQ(Load(cert, key).rfind(
                "the private key in key file " + key + " cannot be decoded", 0),
            0u);
}

TEST_F(Certificate, NeverAsksForAPassphrase) {
  const std::string cert = folder_.Write("cert.pem", identity_.cert_pem);
  for (const std::string& text :
       {EncryptKey(identity_.key_pem, "secret"),
        TraditionalKey(identity_.key_pem, "secret")}) {
    const std::string key = folder_.Write("key.pem", text);
    EXPECT_EQ(Load(cert, key),
              "the key in " + key +
                  " is encrypted with a passphrase; remove it with: openssl "
                  "pkey -in " +
                  key + " -out NEWFILE");
  }
}

TEST_F(Certificate, SaysThatKeyAndCertificateDoNotMatch) {
  const std::string cert = folder_.Write("cert.pem", identity_.cert_pem);
  CertificateRequest same_kind;
  for (const std::string& other : {MakeCertificate(same_kind).key_pem,
                                   SharedIdentity(KeyKind::kRsa2048).key_pem}) {
    const std::string key = folder_.Write("key.pem", other);
    EXPECT_EQ(Load(cert, key),
              "the key in key file " + key +
                  " does not belong to the certificate in certificate file " +
                  cert + "; use the key that the certificate was issued for");
  }
}

TEST_F(Certificate, SaysThatTheChainIsInTheWrongOrder) {
  CertificateRequest request;
  request.is_authority = true;
  const TestIdentity authority = MakeCertificate(request);
  request = {};
  request.issuer = &authority;
  const TestIdentity leaf = MakeCertificate(request);
  const std::string cert =
      folder_.Write("cert.pem", authority.cert_pem + leaf.cert_pem);
  const std::string key = folder_.Write("key.pem", leaf.key_pem);
  EXPECT_EQ(Load(cert, key), "the certificate of the key in " + key +
                                 " is not the first one in certificate file " +
                                 cert +
                                 "; put it first, then the "
                                 "intermediates");
}

TEST_F(Certificate, SaysThatAKeyIsTooWeak) {
  const TestIdentity& weak = SharedIdentity(KeyKind::kRsa1024);
  const std::string path = folder_.Write("a", weak.cert_pem + weak.key_pem);
  EXPECT_EQ(Load(path, ""),
            "OpenSSL refuses to use certificate file " + path +
                " (ee key too small); use ECDSA with P-256, or RSA with 2048 "
                "bits or more");
}

TEST_F(Certificate, WarnsOfAnOpenKeyFileAndRefusesItWhenStrict) {
  const std::string cert = folder_.Write("cert.pem", identity_.cert_pem, 0644);
  const std::string target = folder_.Write("key1.pem", identity_.key_pem, 0640);
  const std::string link = folder_.Path("key.pem");
  std::filesystem::create_symlink(target, link);
  const std::string problem =
      "key file " + link + " (a link to " + target +
      ") holds a private key and is open to its group or to everybody (mode "
      "0640); close it with: chmod 600 " +
      target;
  EXPECT_EQ(Load(cert, link), "OK");
  EXPECT_EQ(warnings_, std::vector<std::string>{problem});
  strict_ = true;
  EXPECT_EQ(Load(cert, link), problem);
}

TEST_F(Certificate, WarnsOfAnOpenDirectoryAndRefusesItWhenStrict) {
  const std::string cert = folder_.Write("cert.pem", identity_.cert_pem, 0644);
  const std::string key = folder_.Write("key.pem", identity_.key_pem);
  const std::string directory = key.substr(0, key.rfind('/'));
  chmod(directory.c_str(), 0770);
  EXPECT_EQ(Load(cert, key), "OK");
  ASSERT_EQ(warnings_.size(), 1u);
  const std::string problem = warnings_[0];
  EXPECT_NE(problem.find("chmod go-w " + directory), std::string::npos);
  strict_ = true;
  EXPECT_EQ(Load(cert, key), problem);
}

TEST_F(Certificate, WarnsOfAnOpenCombinedFile) {
  const std::string path =
      folder_.Write("both.pem", identity_.cert_pem + identity_.key_pem, 0644);
  EXPECT_EQ(Load(path, ""), "OK");
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_EQ(
      warnings_[0].rfind(
          "certificate file " + path + " holds a private key and is open", 0),
      0u);
}

TEST_F(Certificate, WarnsOfDates) {
  CertificateRequest request;
  request.starts_in_days = -10;
  request.ends_in_days = -1;
  const TestIdentity expired = MakeCertificate(request);
  const std::string path =
      folder_.Write("a", expired.cert_pem + expired.key_pem);
  EXPECT_EQ(Load(path, ""), "OK");
  EXPECT_EQ(warnings_,
            std::vector<std::string>{"the certificate in "
                                     "certificate file " +
                                     path + " has expired; renew it"});
  request.starts_in_days = 2;
  request.ends_in_days = 9;
  const TestIdentity early = MakeCertificate(request);
  folder_.Write("a", early.cert_pem + early.key_pem);
  EXPECT_EQ(Load(path, ""), "OK");
  EXPECT_EQ(warnings_,
            std::vector<std::string>{
                "the certificate in certificate file " + path +
                " is not valid yet; check the clock of this machine"});
}

}  // namespace
}  // namespace tlspost::tls
