// Name, kind of key, last day and fingerprint.

#include "common/tls/certificate_describe.h"

#include <openssl/asn1.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <memory>
#include <utility>

#include "common/base/check.h"
#include "common/tls/openssl_handles.h"

namespace tlspost::tls {
namespace {

std::string Utf8(const ASN1_STRING* value) {
  unsigned char* utf8 = nullptr;
  const int size = ASN1_STRING_to_UTF8(&utf8, value);
  if (size < 0) return "";
  std::string text(reinterpret_cast<char*>(utf8), static_cast<size_t>(size));
  OPENSSL_free(utf8);
  return text;
}

std::string CommonName(const X509* certificate) {
  const X509_NAME* subject = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0) return "";
  return Utf8(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

// Of the subject's alternative names those that are DNS names.
std::vector<std::string> AlternativeNames(const X509* certificate) {
  using NamesHandle =
      std::unique_ptr<GENERAL_NAMES, FreeWith<GENERAL_NAMES_free>>;
  const NamesHandle names(static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(
      certificate, NID_subject_alt_name, /*crit=*/nullptr, /*idx=*/nullptr)));
  std::vector<std::string> dns_names;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    int kind = 0;
    const void* value = GENERAL_NAME_get0_value(name, &kind);
    if (kind != GEN_DNS) continue;
    dns_names.push_back(Utf8(static_cast<const ASN1_STRING*>(value)));
  }
  return dns_names;
}

std::string KeyWord(const X509* certificate) {
  const EVP_PKEY* key = X509_get0_pubkey(certificate);
  if (key == nullptr) return "unknown";
  switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_EC:
      return "ECDSA";
    case EVP_PKEY_RSA:
    case EVP_PKEY_RSA_PSS:
      return "RSA";
    case EVP_PKEY_ED25519:
      return "Ed25519";
    default:
      return "other";
  }
}

int64_t SecondsSinceEpoch(const ASN1_TIME* time) {
  tm broken_down = {};
  if (ASN1_TIME_to_tm(time, &broken_down) != 1) return 0;
  return timegm(&broken_down);
}

}  // namespace

std::vector<std::string> DnsNames(const X509* certificate) {
  std::vector<std::string> names = AlternativeNames(certificate);
  std::string common_name = CommonName(certificate);
  if (names.empty() && !common_name.empty()) {
    names.push_back(std::move(common_name));
  }
  return names;
}

CertificateFacts DescribeCertificate(const X509* certificate) {
  CertificateFacts facts;
  facts.name = CommonName(certificate);
  if (facts.name.empty()) {
    const std::vector<std::string> names = AlternativeNames(certificate);
    if (!names.empty()) facts.name = names.front();
  }
  facts.key = KeyWord(certificate);
  facts.not_after_s = SecondsSinceEpoch(X509_get0_notAfter(certificate));
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  TLSPOST_CHECK(X509_digest(certificate, EVP_sha256(), digest, &size) == 1);
  facts.fingerprint.assign(reinterpret_cast<const char*>(digest), size);
  return facts;
}

}  // namespace tlspost::tls
