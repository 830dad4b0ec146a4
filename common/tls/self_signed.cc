#include "common/tls/self_signed.h"

#include <openssl/asn1.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdint>

#include "common/base/check.h"
#include "common/tls/openssl_handles.h"

namespace tlspost::tls {
namespace {

constexpr long kDaySeconds = 24 * 60 * 60;
// RFC 5280, upper bound ub-common-name.
constexpr size_t kMaxCommonName = 64;

// Built by hand and not from a configuration string: a comma in the name must
// not become a further name.
void AddDnsName(X509* certificate, const std::string& hostname) {
  ASN1_IA5STRING* value = ASN1_IA5STRING_new();
  GENERAL_NAME* name = GENERAL_NAME_new();
  GENERAL_NAMES* names = GENERAL_NAMES_new();
  TLSPOST_CHECK(value != nullptr && name != nullptr && names != nullptr);
  TLSPOST_CHECK(ASN1_STRING_set(value, hostname.data(),
                                static_cast<int>(hostname.size())) == 1);
  GENERAL_NAME_set0_value(name, GEN_DNS, value);
  TLSPOST_CHECK(sk_GENERAL_NAME_push(names, name) > 0);
  TLSPOST_CHECK(X509_add1_ext_i2d(certificate, NID_subject_alt_name, names,
                                  /*crit=*/0, X509V3_ADD_APPEND) == 1);
  GENERAL_NAMES_free(names);
}

void SetNames(X509* certificate, const std::string& hostname) {
  const std::string common_name = hostname.substr(0, kMaxCommonName);
  X509_NAME* name = X509_get_subject_name(certificate);
  TLSPOST_CHECK(X509_NAME_add_entry_by_NID(
                    name, NID_commonName, MBSTRING_UTF8,
                    reinterpret_cast<const unsigned char*>(common_name.data()),
                    static_cast<int>(common_name.size()), -1, 0) == 1);
  TLSPOST_CHECK(X509_set_issuer_name(certificate, name) == 1);
  AddDnsName(certificate, hostname);
}

void SetSerial(X509* certificate) {
  uint64_t serial = 0;
  TLSPOST_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(&serial),
                           sizeof(serial)) == 1);
  // RFC 5280 section 4.1.2.2: positive.
  TLSPOST_CHECK(ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate),
                                        (serial >> 1) | 1) == 1);
}

std::string Contents(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<size_t>(size));
}

}  // namespace

SelfSigned GenerateSelfSigned(const std::string& hostname) {
  const KeyHandle key(EVP_EC_gen("P-256"));
  const X509Handle certificate(X509_new());
  TLSPOST_CHECK(key != nullptr && certificate != nullptr);
  X509* x509 = certificate.get();
  TLSPOST_CHECK(X509_set_version(x509, X509_VERSION_3) == 1);
  SetSerial(x509);
  SetNames(x509, hostname);
  // A day of tolerance for clocks that are behind ours.
  X509_gmtime_adj(X509_getm_notBefore(x509), -kDaySeconds);
  X509_gmtime_adj(X509_getm_notAfter(x509), 365 * kDaySeconds);
  TLSPOST_CHECK(X509_set_pubkey(x509, key.get()) == 1);
  TLSPOST_CHECK(X509_sign(x509, key.get(), EVP_sha256()) > 0);

  const BioHandle cert_pem(BIO_new(BIO_s_mem()));
  const BioHandle key_pem(BIO_new(BIO_s_secmem()));
  TLSPOST_CHECK(PEM_write_bio_X509(cert_pem.get(), x509) == 1);
  TLSPOST_CHECK(PEM_write_bio_PKCS8PrivateKey(key_pem.get(), key.get(), nullptr,
                                              nullptr, 0, nullptr,
                                              nullptr) == 1);
  return {Contents(cert_pem.get()), Contents(key_pem.get())};
}

}  // namespace tlspost::tls
