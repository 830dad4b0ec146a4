// Keys and certificates made on the spot, so that no test depends on a file or
// on a date.

#ifndef TLSPOST_TESTS_UNIT_TLS_TEST_CERTIFICATES_H_
#define TLSPOST_TESTS_UNIT_TLS_TEST_CERTIFICATES_H_

#include <string>

#include "common/tls/tls_options.h"

namespace tlspost::tls {

inline constexpr long kDaySeconds = 24 * 60 * 60;

enum class KeyKind { kP256, kP384, kRsa2048, kRsa1024, kEd25519 };

struct TestIdentity {
  std::string cert_pem;
  std::string key_pem;
};

struct CertificateRequest {
  std::string name = "mail.example";
  KeyKind kind = KeyKind::kP256;
  bool is_authority = false;
  const TestIdentity* issuer = nullptr;  // null: signs itself
  std::string address = "";              // an IP address it is for, too
  std::string usage = "";  // extendedKeyUsage: "clientAuth"; "": any
  int starts_in_days = -1;
  int ends_in_days = 30;
};

CertificateSource SourceOf(const TestIdentity& identity);

TestIdentity MakeCertificate(const CertificateRequest& request);

// One of each kind per process: RSA keys are slow to make.
const TestIdentity& SharedIdentity(KeyKind kind);

std::string EncryptKey(const std::string& key_pem, const char* passphrase);
// The form OpenSSL wrote before PKCS #8, "-----BEGIN EC PRIVATE KEY-----".
std::string TraditionalKey(const std::string& key_pem, const char* passphrase);
std::string CertificateDer(const std::string& cert_pem);

}  // namespace tlspost::tls

#endif  // TLSPOST_TESTS_UNIT_TLS_TEST_CERTIFICATES_H_
