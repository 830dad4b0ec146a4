// From OpenSSL's certificate to CertificateFacts. Private to common/tls: it
// includes OpenSSL.

#ifndef TLSPOST_COMMON_TLS_CERTIFICATE_DESCRIBE_H_
#define TLSPOST_COMMON_TLS_CERTIFICATE_DESCRIBE_H_

#include <openssl/x509.h>

#include <string>
#include <vector>

#include "common/tls/certificate_facts.h"

namespace tlspost::tls {

CertificateFacts DescribeCertificate(const X509* certificate);

// The DNS names that it is made out to (RFC 6125 section 6.4); its common name
// if there are none.
std::vector<std::string> DnsNames(const X509* certificate);

}  // namespace tlspost::tls

#endif  // TLSPOST_COMMON_TLS_CERTIFICATE_DESCRIBE_H_
