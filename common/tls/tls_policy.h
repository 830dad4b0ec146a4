// A TlsPolicy as OpenSSL takes it: versions, ciphers, groups, signatures, and
// the security level that goes with them.
//
// The defaults of this project are here. Which policy a connection gets is
// decided elsewhere. Private to common/tls: it includes OpenSSL.

#ifndef TLSPOST_COMMON_TLS_TLS_POLICY_H_
#define TLSPOST_COMMON_TLS_TLS_POLICY_H_

#include <openssl/ssl.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/tls/tls_options.h"

namespace tlspost::tls {

// A policy with nothing left open: what is empty in a TlsPolicy has its
// default here, except `signatures`, where empty leaves it to OpenSSL.
struct PolicyTerms {
  int min_version = 0;
  int max_version = 0;
  int security_level = 0;  // SSL_CTX_set_security_level(3)
  std::string ciphers;
  std::string ciphersuites;
  std::string groups;
  std::string signatures;
};

enum class TlsRole { kServer, kClient };

// The terms of `policy`; OpenSSL accepts all of them. `fresh` is an SSL_CTX
// with the security level that OpenSSL came with; its groups are changed in
// trying. An error names the value that OpenSSL does not take.
absl::StatusOr<PolicyTerms> TermsOf(const TlsPolicy& policy, TlsRole role,
                                    SSL_CTX* fresh);

// Applies `terms`. For an SSL: before the version is chosen.
absl::Status ApplyTerms(const PolicyTerms& terms, SSL_CTX* context);
absl::Status ApplyTerms(const PolicyTerms& terms, SSL* ssl);

}  // namespace tlspost::tls

#endif  // TLSPOST_COMMON_TLS_TLS_POLICY_H_
