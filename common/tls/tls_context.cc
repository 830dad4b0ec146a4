#include "common/tls/tls_context.h"

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/tls/certificate.h"
#include "common/tls/openssl_error.h"
#include "common/tls/openssl_handles.h"
#include "common/tls/server_builder.h"
#include "common/tls/ssl_modes.h"
#include "common/tls/ticket_callback.h"
#include "common/tls/tls_policy.h"
#include "common/tls/trust.h"

namespace tlspost::tls {
namespace {

// A name that is not the expected one is found before the signatures of the
// chain are checked: it goes on, so that Trusted can be told from Untrusted.
int GoOnAfterOtherName(int ok, X509_STORE_CTX* store) {
  if (ok == 1) return ok;
  const int error = X509_STORE_CTX_get_error(store);
  const bool other_name = error == X509_V_ERR_HOSTNAME_MISMATCH ||
                          error == X509_V_ERR_IP_ADDRESS_MISMATCH;
  return other_name ? 1 : 0;
}

}  // namespace

TlsContext::TlsContext(bool server, TlsVersion min_version,
                       std::shared_ptr<TlsLibrary> library)
    : server_(server),
      min_version_(min_version),
      library_(library != nullptr ? std::move(library)
                                  : std::make_shared<TlsLibrary>()) {}

TlsContext::~TlsContext() {
  server_terms_.reset();
  staples_.reset();
  for (SSL_CTX* context : named_contexts_) SSL_CTX_free(context);
  SSL_CTX_free(ssl_context_);
  EVP_CIPHER_free(ticket_cipher_);
}

absl::StatusOr<std::shared_ptr<TlsContext>> TlsContext::CreateServer(
    const ServerTlsOptions& options) {
  std::shared_ptr<TlsContext> context(new TlsContext(
      /*server=*/true, options.policy.min_version, options.library));
  absl::Status status = context->ApplyServer(options);
  ClearOpenSslErrors();
  // It may be used on another thread, and end there.
  context->library_->LeaveThread();
  if (!status.ok()) return status;
  return context;
}

absl::StatusOr<std::shared_ptr<TlsContext>> TlsContext::CreateClient(
    const ClientTlsOptions& options) {
  std::shared_ptr<TlsContext> context(
      new TlsContext(/*server=*/false, options.min_version, options.library));
  absl::Status status = context->ApplyClient(options);
  ClearOpenSslErrors();
  // It may be used on another thread, and end there.
  context->library_->LeaveThread();
  if (!status.ok()) return status;
  return context;
}

absl::Status TlsContext::ApplyServer(const ServerTlsOptions& options) {
  absl::StatusOr<ServerParts> parts =
      ServerBuilder(options, library(), this).Build();
  if (!parts.ok()) return parts.status();
  ssl_context_ = parts->context.release();
  for (SslContextHandle& context : parts->named_contexts) {
    named_contexts_.push_back(context.release());
  }
  server_terms_ = std::move(parts->terms);
  staples_ = std::move(parts->staples);
  trusted_authorities_ = parts->trusted_authorities;
  certificates_ = std::move(parts->certificates);
  warnings_ = std::move(parts->warnings);
  return UseTickets(options);
}

absl::Status TlsContext::ApplyClient(const ClientTlsOptions& options) {
  ssl_context_ = SSL_CTX_new_ex(library(), nullptr, TLS_client_method());
  TLSPOST_CHECK(ssl_context_ != nullptr);
  SSL_CTX_set_app_data(ssl_context_, this);
  TlsPolicy policy;
  policy.min_version = options.min_version;
  policy.max_version = options.max_version;
  policy.ciphers = options.ciphers;
  policy.ciphersuites = options.ciphersuites;
  policy.groups = options.groups;
  absl::StatusOr<PolicyTerms> terms =
      TermsOf(policy, TlsRole::kClient, ssl_context_);
  if (!terms.ok()) return terms.status();
  SetCommonModes(ssl_context_);
  absl::Status status = ApplyTerms(*terms, ssl_context_);
  if (!status.ok()) return status;
  const CertificateSource& own = options.certificate;
  if (!own.cert_file.empty() || !own.cert_pem.empty()) {
    absl::StatusOr<Identity> identity = LoadIdentity(
        library(), own, /*strict_key_permissions=*/false, &warnings_);
    if (!identity.ok()) return identity.status();
    status = UseIdentity(*identity, ssl_context_);
    if (!status.ok()) return status;
  }
  const TrustSources trust = {options.ca_file, options.ca_path, options.ca_pem};
  if (!trust.empty()) {
    auto count = AddTrust(trust, library(), ssl_context_, &warnings_);
    if (!count.ok()) return count.status();
    trusted_authorities_ = *count;
  } else if (options.verify) {
    TLSPOST_CHECK(SSL_CTX_set_default_verify_paths(ssl_context_) == 1);
  }
  // Without `verify` the chain is looked at all the same, for the description.
  SSL_CTX_set_verify(ssl_context_,
                     options.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
                     options.verify ? nullptr : &GoOnAfterOtherName);
  return absl::OkStatus();
}

absl::Status TlsContext::UseTickets(const ServerTlsOptions& options) {
  ticket_keys_ = options.ticket_keys;
  if (ticket_keys_ == nullptr) ticket_keys_ = TicketKeys::Random();
  ticket_cipher_ = EVP_CIPHER_fetch(library(), "AES-256-CBC", nullptr);
  if (ticket_cipher_ == nullptr) {
    return MakeStatus(
        absl::StatusCode::kInvalidArgument,
        "OpenSSL has no AES-256-CBC here (" + TakeOpenSslError().reason +
            "), which session tickets need; install its default provider");
  }
  SSL_CTX_set_timeout(ssl_context_,
                      static_cast<long>(options.session_lifetime.count()));
  // One stateless ticket per handshake: each costs a tenth of it.
  TLSPOST_CHECK(SSL_CTX_set_num_tickets(ssl_context_, 1) == 1);
  TLSPOST_CHECK(
      SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl_context_, &OnTicketKey) == 1);
  return absl::OkStatus();
}

}  // namespace tlspost::tls
