// ServedCertificate: what can be said of a certificate that a server context
// proves itself with, without OpenSSL's types.

#ifndef TLSPOST_COMMON_TLS_SERVED_CERTIFICATE_H_
#define TLSPOST_COMMON_TLS_SERVED_CERTIFICATE_H_

#include <string>

namespace tlspost::tls {

struct ServedCertificate {
  std::string fingerprint;   // SHA-256 of the certificate, 32 octets
  std::string date_problem;  // one line if it has expired or is not valid yet
};

}  // namespace tlspost::tls

#endif  // TLSPOST_COMMON_TLS_SERVED_CERTIFICATE_H_
