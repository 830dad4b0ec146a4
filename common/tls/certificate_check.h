// What an administrator wants to hear of certificates and authorities before
// they are served: all that is wrong with them, not only the first thing.
//
// Judges as `openssl verify -purpose sslserver -untrusted FILE FILE` does, with
// the authorities that it has too: the system's, or those of SSL_CERT_FILE and
// SSL_CERT_DIR. Serves nothing and keeps nothing. No OpenSSL type passes
// through this header.

#ifndef TLSPOST_COMMON_TLS_CERTIFICATE_CHECK_H_
#define TLSPOST_COMMON_TLS_CERTIFICATE_CHECK_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/tls/certificate_facts.h"
#include "common/tls/tls_options.h"

namespace tlspost::tls {

// OpenSSL's verdict on a chain, the first error that it finds.
struct ChainVerdict {
  int error = 0;        // X509_V_ERR_...; 0: good
  std::string reason;   // in OpenSSL's words
  int depth = 0;        // of the certificate at fault; 0 is the leaf
  std::string subject;  // of that certificate: "O = Example, CN = mx.example"
  std::string remedy;
  // Nothing is wrong but that only its maker vouches for it. Mail servers that
  // do not look at certificates take it.
  bool is_self_made = false;

  bool good() const { return error == 0; }
};

struct CertificateReport {
  // Whether the certificates could be read; without them nothing below holds.
  absl::Status readable;
  // Whether it can be served: its key is there, its own and not encrypted.
  absl::Status usable;
  // What is unwise in how the files lie there, one line each.
  std::vector<std::string> warnings;

  CertificateFacts facts;
  ChainVerdict chain;
  // Certificates behind the leaf, as they come.
  size_t intermediates = 0;
  // One line for each that stands at the wrong place, or is of no use.
  std::vector<std::string> order_problems;
  // DNS names that it is made out to; where there are none, its common name.
  std::vector<std::string> names;
  // Those of the names asked about that it is not made out to.
  std::vector<std::string> foreign_names;
  int64_t days_left = 0;  // whole days, negative when it has expired
  // Its renewal is overdue: a third of its life is left, and less than a week.
  bool ends_soon = false;
};

// `asked_names`: what clients will look for in it. Strict: a key that others
// may read cannot be served.
CertificateReport InspectCertificate(
    const CertificateSource& source,
    const std::vector<std::string>& asked_names, bool strict_key_permissions);

struct AuthoritiesReport {
  size_t in_file = 0;
  // Certificates in the directory that can be found, by their hash links.
  size_t in_directory = 0;
  std::vector<std::string> warnings;
};

// Empty: none of that kind. Error: what cannot be read, and the remedy.
absl::StatusOr<AuthoritiesReport> InspectAuthorities(
    const std::string& ca_file, const std::string& ca_path);

}  // namespace tlspost::tls

#endif  // TLSPOST_COMMON_TLS_CERTIFICATE_CHECK_H_
