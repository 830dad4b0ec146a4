// The authorities that a peer's certificate may chain to.
//
// They come from a file, a directory with hashed names, or PEM text. Every
// error is one plain line that names the thing and the remedy. Private to
// common/tls: it includes OpenSSL.

#ifndef TLSPOST_COMMON_TLS_TRUST_H_
#define TLSPOST_COMMON_TLS_TRUST_H_

#include <openssl/ssl.h>

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace tlspost::tls {

// Empty: nothing from there.
struct TrustSources {
  std::string ca_file;
  std::string ca_path;
  std::string ca_pem;

  bool empty() const {
    return ca_file.empty() && ca_path.empty() && ca_pem.empty();
  }
};

// Adds the authorities of `sources` to the store of `context`. Returns how many
// there are, besides those of the directory: they are read when they are asked
// for.
absl::StatusOr<size_t> AddTrust(const TrustSources& sources,
                                OSSL_LIB_CTX* library, SSL_CTX* context,
                                std::vector<std::string>* warnings);

// The names in a directory that OpenSSL finds certificates by; 0 when it cannot
// be read.
size_t CountHashLinks(const std::string& path);

// Differs when the authorities of `sources` do: the text of the file, and the
// names, sizes and times in the directory.
std::string FingerprintOfTrust(const TrustSources& sources);

}  // namespace tlspost::tls

#endif  // TLSPOST_COMMON_TLS_TRUST_H_
