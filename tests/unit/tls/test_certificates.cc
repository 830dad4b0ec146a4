#include "tests/unit/tls/test_certificates.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <cstring>
#include <map>

#include "common/base/check.h"
#include "common/tls/openssl_handles.h"
#include "tests/unit/tls/pem_bio.h"

namespace tlspost::tls {
namespace {

KeyHandle NewKey(KeyKind kind) {
  switch (kind) {
    case KeyKind::kP256:
      return KeyHandle(EVP_EC_gen("P-256"));
    case KeyKind::kP384:
      return KeyHandle(EVP_EC_gen("P-384"));
    case KeyKind::kRsa2048:
      return KeyHandle(EVP_RSA_gen(2048));
    case KeyKind::kRsa1024:
      return KeyHandle(EVP_RSA_gen(1024));
    case KeyKind::kEd25519:
      return KeyHandle(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  }
  return nullptr;
}

std::string Contents(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<size_t>(size));
}

KeyHandle ReadKey(const std::string& pem) {
  KeyHandle key(
      PEM_read_bio_PrivateKey(Over(pem).get(), nullptr, nullptr, nullptr));
  TLSPOST_CHECK(key != nullptr);
  return key;
}

X509Handle ReadCertificate(const std::string& pem) {
  X509Handle certificate(
      PEM_read_bio_X509(Over(pem).get(), nullptr, nullptr, nullptr));
  TLSPOST_CHECK(certificate != nullptr);
  return certificate;
}

void AddExtension(X509* certificate, int nid, const char* value) {
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
  TLSPOST_CHECK(extension != nullptr);
  TLSPOST_CHECK(X509_add_ext(certificate, extension, -1) == 1);
  X509_EXTENSION_free(extension);
}

void Sign(X509* certificate, EVP_PKEY* key) {
  const bool ed25519 = EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519;
  TLSPOST_CHECK(X509_sign(certificate, key, ed25519 ? nullptr : EVP_sha256()) >
                0);
}

}  // namespace

CertificateSource SourceOf(const TestIdentity& identity) {
  return {"", "", identity.cert_pem, identity.key_pem};
}

TestIdentity MakeCertificate(const CertificateRequest& request) {
  static long serial = 1;
  const KeyHandle key = NewKey(request.kind);
  const X509Handle certificate(X509_new());
  X509* x509 = certificate.get();
  X509_set_version(x509, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x509), serial++);
  X509_gmtime_adj(X509_getm_notBefore(x509),
                  request.starts_in_days * kDaySeconds);
  X509_gmtime_adj(X509_getm_notAfter(x509), request.ends_in_days * kDaySeconds);
  X509_set_pubkey(x509, key.get());
  X509_NAME_add_entry_by_NID(
      X509_get_subject_name(x509), NID_commonName, MBSTRING_UTF8,
      reinterpret_cast<const unsigned char*>(request.name.c_str()), -1, -1, 0);
  AddExtension(x509, NID_basic_constraints,
               request.is_authority ? "critical,CA:TRUE" : "CA:FALSE");
  if (!request.usage.empty()) {
    AddExtension(x509, NID_ext_key_usage, request.usage.c_str());
  }
  if (!request.is_authority) {
    std::string names = "DNS:" + request.name;
    if (!request.address.empty()) names += ",IP:" + request.address;
    AddExtension(x509, NID_subject_alt_name, names.c_str());
  }
  if (request.issuer == nullptr) {
    X509_set_issuer_name(x509, X509_get_subject_name(x509));
    Sign(x509, key.get());
  } else {
    const X509Handle issuer = ReadCertificate(request.issuer->cert_pem);
    X509_set_issuer_name(x509, X509_get_subject_name(issuer.get()));
    Sign(x509, ReadKey(request.issuer->key_pem).get());
  }
  const BioHandle cert_out(BIO_new(BIO_s_mem()));
  const BioHandle key_out(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(cert_out.get(), x509);
  PEM_write_bio_PKCS8PrivateKey(key_out.get(), key.get(), nullptr, nullptr, 0,
                                nullptr, nullptr);
  return {Contents(cert_out.get()), Contents(key_out.get())};
}

const TestIdentity& SharedIdentity(KeyKind kind) {
  static std::map<KeyKind, TestIdentity> identities;
  auto found = identities.find(kind);
  if (found == identities.end()) {
    CertificateRequest request;
    request.kind = kind;
    found = identities.emplace(kind, MakeCertificate(request)).first;
  }
  return found->second;
}

std::string EncryptKey(const std::string& key_pem, const char* passphrase) {
  const BioHandle out(BIO_new(BIO_s_mem()));
  PEM_write_bio_PKCS8PrivateKey(
      out.get(), ReadKey(key_pem).get(), EVP_aes_256_cbc(), passphrase,
      static_cast<int>(std::strlen(passphrase)), nullptr, nullptr);
  return Contents(out.get());
}

std::string TraditionalKey(const std::string& key_pem, const char* passphrase) {
  const BioHandle out(BIO_new(BIO_s_mem()));
  const KeyHandle key = ReadKey(key_pem);
  if (passphrase == nullptr) {
    PEM_write_bio_PrivateKey_traditional(out.get(), key.get(), nullptr, nullptr,
                                         0, nullptr, nullptr);
  } else {
    const auto* text = reinterpret_cast<const unsigned char*>(passphrase);
    PEM_write_bio_PrivateKey_traditional(
        out.get(), key.get(), EVP_aes_256_cbc(), text,
        static_cast<int>(std::strlen(passphrase)), nullptr, nullptr);
  }
  return Contents(out.get());
}

std::string CertificateDer(const std::string& cert_pem) {
  unsigned char* der = nullptr;
  const int size = i2d_X509(ReadCertificate(cert_pem).get(), &der);
  std::string text(reinterpret_cast<char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return text;
}

}  // namespace tlspost::tls
