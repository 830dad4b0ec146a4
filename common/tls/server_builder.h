// From ServerTlsOptions to the SSL_CTXs and the terms of a server: everything
// is loaded and tried here, so that nothing is left to go wrong in a handshake.
//
// Every error is one plain line that names the file or value and the remedy.
// Private to common/tls: it includes OpenSSL.

#ifndef TLSPOST_COMMON_TLS_SERVER_BUILDER_H_
#define TLSPOST_COMMON_TLS_SERVER_BUILDER_H_

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/tls/certificate.h"
#include "common/tls/certificate_facts.h"
#include "common/tls/ocsp_staples.h"
#include "common/tls/openssl_handles.h"
#include "common/tls/server_terms.h"
#include "common/tls/tls_options.h"

namespace tlspost::tls {

struct ServerParts {
  // New connections begin with it; it has the default certificates.
  SslContextHandle context;
  // One for each set of named certificates; `terms` points to them.
  std::vector<SslContextHandle> named_contexts;
  std::unique_ptr<ServerTerms> terms;
  std::unique_ptr<OcspStaples> staples;        // the SSL_CTXs point to it
  std::vector<CertificateFacts> certificates;  // all that may be served
  size_t trusted_authorities = 0;
  std::vector<std::string> warnings;
};

class ServerBuilder {
 public:
  // All SSL_CTXs get `app_data`. Both must outlive the builder.
  ServerBuilder(const ServerTlsOptions& options, OSSL_LIB_CTX* library,
                void* app_data)
      : options_(options), library_(library), app_data_(app_data) {}

  absl::StatusOr<ServerParts> Build();

 private:
  SslContextHandle NewContext() const;
  absl::Status MakeTerms();
  absl::StatusOr<SslContextHandle> LoadSet(
      const std::vector<CertificateSource>& sources);
  absl::Status LoadNamed();
  absl::StatusOr<SSL_CTX*> NamedContext(const NamedCertificates& named);
  void WarnOfOtherName(const std::string& name, SSL_CTX* context);
  absl::Status LoadTrust();
  absl::Status LoadStaples();
  void ForgetRepeatedWarnings();

  const ServerTlsOptions& options_;
  OSSL_LIB_CTX* const library_;
  void* const app_data_;
  ServerParts parts_;
  std::vector<X509*> leaves_;  // all of ours; the SSL_CTXs own them
  // The sets that are loaded: a hundred names may share one certificate.
  std::vector<std::pair<std::vector<CertificateSource>, SSL_CTX*>> sets_;
};

}  // namespace tlspost::tls

#endif  // TLSPOST_COMMON_TLS_SERVER_BUILDER_H_
