// What an administrator wants to know of a certificate that is served: plain
// values, no behaviour.

#ifndef TLSPOST_COMMON_TLS_CERTIFICATE_FACTS_H_
#define TLSPOST_COMMON_TLS_CERTIFICATE_FACTS_H_

#include <cstdint>
#include <string>

namespace tlspost::tls {

struct CertificateFacts {
  // The common name, else the first DNS name it is made out to, as it stands
  // in the certificate; empty when it has neither.
  std::string name;
  std::string key;               // "ECDSA", "RSA", "Ed25519"
  int64_t not_after_s = 0;       // since 1970
  std::string fingerprint = {};  // SHA-256 of the certificate, 32 octets
  // One line if it had expired, or was not valid yet, when it was loaded.
  std::string date_problem = {};

  friend bool operator==(const CertificateFacts&,
                         const CertificateFacts&) = default;
};

}  // namespace tlspost::tls

#endif  // TLSPOST_COMMON_TLS_CERTIFICATE_FACTS_H_
