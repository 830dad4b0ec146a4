// One worker's TLS settings: certificates, trust, policies, ticket keys.
//
// It is made at start or at a reload and never changes; engines keep it alive,
// so that a reload lets old sessions end in peace. All that use it, and its
// end, are on one thread, which need not be the one that made it. It does no
// I/O after Create, and knows nothing of connections.

#ifndef TLSPOST_COMMON_TLS_TLS_CONTEXT_H_
#define TLSPOST_COMMON_TLS_TLS_CONTEXT_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/tls/certificate_facts.h"
#include "common/tls/tls_options.h"

struct evp_cipher_st;
struct ossl_lib_ctx_st;
struct ssl_ctx_st;

namespace tlspost::tls {

class OcspStaples;
class ServerTerms;

class TlsContext {
 public:
  // An error is one plain line that names the file or value and the remedy.
  static absl::StatusOr<std::shared_ptr<TlsContext>> CreateServer(
      const ServerTlsOptions& options);
  static absl::StatusOr<std::shared_ptr<TlsContext>> CreateClient(
      const ClientTlsOptions& options);

  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  ~TlsContext();

  bool is_server() const { return server_; }
  // Of the policy that holds when no other does.
  TlsVersion min_version() const { return min_version_; }

  // What is unwise but works, one line each.
  const std::vector<std::string>& warnings() const { return warnings_; }

  // A server's own ones.
  const std::vector<CertificateFacts>& certificates() const {
    return certificates_;
  }

  // How many certificates came from the CA file (or text); what is in a CA
  // directory is not counted.
  size_t trusted_authorities() const { return trusted_authorities_; }

  // For common/tls only.
  ssl_ctx_st* ssl_context() const { return ssl_context_; }
  ossl_lib_ctx_st* library() const { return library_->get(); }
  const ServerTerms& server_terms() const { return *server_terms_; }
  const TicketKeys& ticket_keys() const { return *ticket_keys_; }
  const evp_cipher_st* ticket_cipher() const { return ticket_cipher_; }

 private:
  TlsContext(bool server, TlsVersion min_version,
             std::shared_ptr<TlsLibrary> library);

  absl::Status ApplyServer(const ServerTlsOptions& options);
  absl::Status ApplyClient(const ClientTlsOptions& options);
  absl::Status UseTickets(const ServerTlsOptions& options);

  const bool server_;
  const TlsVersion min_version_;
  const std::shared_ptr<TlsLibrary> library_;  // goes last
  ssl_ctx_st* ssl_context_ = nullptr;
  evp_cipher_st* ticket_cipher_ = nullptr;  // fetched once, used per ticket
  std::shared_ptr<TicketKeys> ticket_keys_;
  std::vector<ssl_ctx_st*> named_contexts_;    // server_terms_ points to them
  std::unique_ptr<ServerTerms> server_terms_;  // null for a client
  std::unique_ptr<OcspStaples> staples_;       // null when there are none
  std::vector<CertificateFacts> certificates_;
  size_t trusted_authorities_ = 0;
  std::vector<std::string> warnings_;
};

}  // namespace tlspost::tls

#endif  // TLSPOST_COMMON_TLS_TLS_CONTEXT_H_
