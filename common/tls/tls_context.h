// One worker's TLS settings: certificate, trust, policy, ticket keys.
//
// Each context has an OpenSSL library context of its own, with the key loaded
// in it: a handshake takes some 600 locks, and this way no two workers share
// one. It is made at start or at a reload and never changes; engines keep it
// alive, so that a reload lets old sessions end in peace. It does no I/O after
// Create, and knows nothing of connections.

#ifndef TLSPOST_COMMON_TLS_TLS_CONTEXT_H_
#define TLSPOST_COMMON_TLS_TLS_CONTEXT_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/tls/tls_options.h"

struct evp_cipher_st;
struct ossl_lib_ctx_st;
struct ssl_ctx_st;

namespace tlspost::tls {

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
  TlsVersion min_version() const { return min_version_; }

  // What is unwise but works, one line each.
  const std::vector<std::string>& warnings() const { return warnings_; }

  // For common/tls only.
  ssl_ctx_st* ssl_context() const { return ssl_context_; }
  ossl_lib_ctx_st* library() const { return library_; }
  const TicketKeys& ticket_keys() const { return *ticket_keys_; }
  const evp_cipher_st* ticket_cipher() const { return ticket_cipher_; }

 private:
  TlsContext(bool server, TlsVersion min_version);

  absl::Status ApplyServer(const ServerTlsOptions& options);
  absl::Status ApplyClient(const ClientTlsOptions& options);
  absl::Status AddIdentity(const CertificateSource& source,
                           bool strict_key_permissions);
  absl::Status AddTrust(const std::string& ca_file, const std::string& ca_path,
                        const std::string& ca_pem);
  absl::Status UseTickets(std::shared_ptr<TicketKeys> keys);

  const bool server_;
  const TlsVersion min_version_;
  ossl_lib_ctx_st* library_ = nullptr;  // freed last
  ssl_ctx_st* ssl_context_ = nullptr;
  evp_cipher_st* ticket_cipher_ = nullptr;  // fetched once, used per ticket
  std::shared_ptr<TicketKeys> ticket_keys_;
  std::vector<std::string> warnings_;
};

}  // namespace tlspost::tls

#endif  // TLSPOST_COMMON_TLS_TLS_CONTEXT_H_
