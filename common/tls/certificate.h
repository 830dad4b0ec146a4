// Certificates and keys, from files or text to OpenSSL's objects.
//
// Every error is one plain line that names the file and the remedy. Nothing
// here ever asks for a passphrase. Private to common/tls: it includes OpenSSL.

#ifndef TLSPOST_COMMON_TLS_CERTIFICATE_H_
#define TLSPOST_COMMON_TLS_CERTIFICATE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/tls/openssl_handles.h"
#include "common/tls/pem_file.h"
#include "common/tls/tls_options.h"

namespace tlspost::tls {

// What a side proves itself with.
struct Identity {
  X509Handle leaf;
  std::vector<X509Handle> chain;  // the intermediates, as they came
  KeyHandle key;
  std::string title;  // "certificate file /etc/ssl/mail.pem", for messages
};

// Loads `source` and checks that the key belongs to the leaf. What is unwise
// but works is appended to `warnings`, one line each.
absl::StatusOr<Identity> LoadIdentity(OSSL_LIB_CTX* library,
                                      const CertificateSource& source,
                                      bool strict_key_permissions,
                                      std::vector<std::string>* warnings);

// Only the certificates of `source`, the leaf first. Errors as LoadIdentity's.
absl::StatusOr<std::vector<X509Handle>> LoadCertificates(
    OSSL_LIB_CTX* library, const CertificateSource& source);

// Lets `context` prove itself with `identity`. An error when OpenSSL finds the
// key too weak, or when `context` has one of its kind already.
absl::Status UseIdentity(const Identity& identity, SSL_CTX* context);

// One line if its leaf has expired or is not valid yet; else empty.
std::string DateProblem(const Identity& identity);

// All certificates in `pem`; an error if there is none.
absl::StatusOr<std::vector<X509Handle>> ParseCertificates(OSSL_LIB_CTX* library,
                                                          const PemText& pem);

}  // namespace tlspost::tls

#endif  // TLSPOST_COMMON_TLS_CERTIFICATE_H_
