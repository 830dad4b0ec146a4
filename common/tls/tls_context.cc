#include "common/tls/tls_context.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/tls/certificate.h"
#include "common/tls/openssl_error.h"
#include "common/tls/openssl_handles.h"
#include "common/tls/ticket_callback.h"
#include "common/tls/tls_wire.h"

namespace tlspost::tls {
namespace {

// AES-128-GCM first: it is the cheapest per byte, and the server chooses.
constexpr char kCiphersuites[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
    "TLS_CHACHA20_POLY1305_SHA256";

// RFC 9325 section 4.1: forward secrecy only. The CBC suites at the end are
// for old mailers, whose other choice would be plaintext.
constexpr char kCiphers[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
    "ECDHE+AES:!aNULL:!eNULL";

// The first list is for OpenSSL 3.5 and newer, older ones reject it. `*` marks
// the groups for which a client of ours sends a key share; as X25519 is among
// them, no server needs to ask again. P-256 must be there: without it a P-256
// certificate cannot be used with TLS 1.2.
constexpr const char* kGroups[] = {
    "*X25519MLKEM768:*X25519:P-256:P-384",
    "X25519:P-256:P-384",
};

// What certificates of today sign with; a short list saves time in each
// handshake.
constexpr char kSignatures[] =
    "ECDSA+SHA256:ed25519:RSA-PSS+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed448:"
    "RSA-PSS+SHA384:RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384:RSA+SHA512";

// What we write are short replies: smaller records need a smaller buffer.
constexpr long kMaxSendFragment = 4096;

// A peer's certificate chain; the honest ones stay far below.
constexpr size_t kMaxPeerChainOctets = size_t{32} << 10;

absl::Status Bad(std::string_view message) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, message);
}

absl::Status Rejected(std::string_view what, const std::string& value) {
  return Bad("OpenSSL does not accept " + std::string(what) + " \"" + value +
             "\" (" + TakeOpenSslError().reason + "); correct the list");
}

std::string OrDefault(const std::string& value, const char* fallback) {
  return value.empty() ? fallback : value;
}

absl::Status SetGroups(SSL_CTX* context, const std::string& groups) {
  if (!groups.empty()) {
    if (SSL_CTX_set1_groups_list(context, groups.c_str()) == 1) {
      return absl::OkStatus();
    }
    return Rejected("the groups", groups);
  }
  for (const char* list : kGroups) {
    ClearOpenSslErrors();
    if (SSL_CTX_set1_groups_list(context, list) == 1) return absl::OkStatus();
  }
  return Rejected("the groups", kGroups[1]);
}

template <typename Options>
absl::Status SetPolicy(SSL_CTX* context, const Options& options) {
  ClearOpenSslErrors();
  if (options.max_version < options.min_version) {
    return Bad(
        "the highest TLS version is below the lowest one; correct one of the "
        "two");
  }
  const std::string ciphers = OrDefault(options.ciphers, kCiphers);
  const std::string suites = OrDefault(options.ciphersuites, kCiphersuites);
  if (SSL_CTX_set_cipher_list(context, ciphers.c_str()) != 1) {
    return Rejected("the TLS 1.2 ciphers", ciphers);
  }
  if (SSL_CTX_set_ciphersuites(context, suites.c_str()) != 1) {
    return Rejected("the TLS 1.3 cipher suites", suites);
  }
  const auto minimum = static_cast<int>(options.min_version);
  const auto maximum = static_cast<int>(options.max_version);
  if (SSL_CTX_set_min_proto_version(context, minimum) != 1 ||
      SSL_CTX_set_max_proto_version(context, maximum) != 1) {
    return Rejected("the TLS versions", "");
  }
  return SetGroups(context, options.groups);
}

void SetCommonModes(SSL_CTX* context) {
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // RELEASE_BUFFERS: an idle connection holds 14 KB instead of 47.
  // NO_AUTO_CHAIN: else each handshake builds and verifies our own chain.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS |
                                SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_max_cert_list(context, kMaxPeerChainOctets);
  TLSPOST_CHECK(SSL_CTX_set_max_send_fragment(context, kMaxSendFragment) == 1);
  WatchWire(context);
}

// A missing or untrusted client certificate never ends the handshake: what to
// do about it is decided in SMTP, with words (and SSL_get_verify_result keeps
// the truth).
int AcceptAnyClient(int, X509_STORE_CTX*) { return 1; }

// RFC 7672 section 8.1: a name that we do not know is no reason to refuse. OK
// (rather than NOACK) also keeps the name in the session, for resumption.
int AcceptAnyName(SSL*, int*, void*) { return SSL_TLSEXT_ERR_OK; }

// Sessions of a context that asks for certificates are not resumed by one
// that does not, nor the other way round.
void SetSessionPolicy(SSL_CTX* context, bool ask_client_certificate) {
  constexpr std::string_view kPlain = "tlspost";
  constexpr std::string_view kAsking = "tlspost ccert";
  const std::string_view id = ask_client_certificate ? kAsking : kPlain;
  TLSPOST_CHECK(SSL_CTX_set_session_id_context(
                    context, reinterpret_cast<const unsigned char*>(id.data()),
                    static_cast<unsigned>(id.size())) == 1);
}

}  // namespace

TlsContext::TlsContext(bool server, TlsVersion min_version)
    : server_(server), min_version_(min_version) {
  library_ = OSSL_LIB_CTX_new();
  TLSPOST_CHECK(library_ != nullptr);
  ssl_context_ = SSL_CTX_new_ex(
      library_, nullptr, server ? TLS_server_method() : TLS_client_method());
  TLSPOST_CHECK(ssl_context_ != nullptr);
  SSL_CTX_set_app_data(ssl_context_, this);
}

TlsContext::~TlsContext() {
  SSL_CTX_free(ssl_context_);
  EVP_CIPHER_free(ticket_cipher_);
  OSSL_LIB_CTX_free(library_);
}

absl::StatusOr<std::shared_ptr<TlsContext>> TlsContext::CreateServer(
    const ServerTlsOptions& options) {
  std::shared_ptr<TlsContext> context(
      new TlsContext(/*server=*/true, options.min_version));
  absl::Status status = context->ApplyServer(options);
  ClearOpenSslErrors();
  if (!status.ok()) return status;
  return context;
}

absl::StatusOr<std::shared_ptr<TlsContext>> TlsContext::CreateClient(
    const ClientTlsOptions& options) {
  std::shared_ptr<TlsContext> context(
      new TlsContext(/*server=*/false, options.min_version));
  absl::Status status = context->ApplyClient(options);
  ClearOpenSslErrors();
  if (!status.ok()) return status;
  return context;
}

absl::Status TlsContext::ApplyServer(const ServerTlsOptions& options) {
  SetCommonModes(ssl_context_);
  absl::Status status = SetPolicy(ssl_context_, options);
  if (!status.ok()) return status;
  TLSPOST_CHECK(SSL_CTX_set1_sigalgs_list(ssl_context_, kSignatures) == 1);
  SSL_CTX_set_options(ssl_context_, SSL_OP_CIPHER_SERVER_PREFERENCE);
  // RFC 8446 section 8: early data can be replayed, and mail is not
  // idempotent. A client that sends some is answered with a full handshake.
  SSL_CTX_set_max_early_data(ssl_context_, 0);
  SSL_CTX_set_tlsext_servername_callback(ssl_context_, &AcceptAnyName);
  SetSessionPolicy(ssl_context_, options.ask_client_certificate);

  const CertificateSource first = {options.cert_file, options.key_file,
                                   options.cert_pem, options.key_pem};
  status = AddIdentity(first, options.strict_key_permissions);
  if (!status.ok()) return status;
  for (const CertificateSource& source : options.additional_certificates) {
    status = AddIdentity(source, options.strict_key_permissions);
    if (!status.ok()) return status;
  }
  if (options.ask_client_certificate) {
    SSL_CTX_set_verify(ssl_context_, SSL_VERIFY_PEER, &AcceptAnyClient);
    status = AddTrust(options.ca_file, options.ca_path, "");
    if (!status.ok()) return status;
  }
  return UseTickets(options.ticket_keys);
}

absl::Status TlsContext::ApplyClient(const ClientTlsOptions& options) {
  SetCommonModes(ssl_context_);
  absl::Status status = SetPolicy(ssl_context_, options);
  if (!status.ok()) return status;
  const CertificateSource& own = options.certificate;
  if (!own.cert_file.empty() || !own.cert_pem.empty()) {
    status = AddIdentity(own, /*strict_key_permissions=*/false);
    if (!status.ok()) return status;
  }
  const bool any_trust = !options.ca_file.empty() || !options.ca_path.empty() ||
                         !options.ca_pem.empty();
  if (any_trust) {
    status = AddTrust(options.ca_file, options.ca_path, options.ca_pem);
    if (!status.ok()) return status;
  } else if (options.verify) {
    TLSPOST_CHECK(SSL_CTX_set_default_verify_paths(ssl_context_) == 1);
  }
  SSL_CTX_set_verify(ssl_context_,
                     options.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
                     nullptr);
  return absl::OkStatus();
}

absl::Status TlsContext::AddIdentity(const CertificateSource& source,
                                     bool strict_key_permissions) {
  absl::StatusOr<Identity> identity =
      LoadIdentity(library_, source, strict_key_permissions, &warnings_);
  if (!identity.ok()) return identity.status();
  const X509ViewStack chain(sk_X509_new_null());
  TLSPOST_CHECK(chain != nullptr);
  for (const X509Handle& certificate : identity->chain) {
    TLSPOST_CHECK(sk_X509_push(chain.get(), certificate.get()) > 0);
  }
  ClearOpenSslErrors();
  // Without "override" it refuses a second certificate with the same kind of
  // key, which would silently replace the first.
  if (SSL_CTX_use_cert_and_key(ssl_context_, identity->leaf.get(),
                               identity->key.get(), chain.get(),
                               /*override=*/0) == 1) {
    return absl::OkStatus();
  }
  const OpenSslError error = TakeOpenSslError();
  if (error.ssl_reason == SSL_R_NOT_REPLACING_CERTIFICATE) {
    return Bad("the key of " + identity->title +
               " is of the same kind as that of an earlier certificate; give "
               "one certificate for each kind (ECDSA, RSA, Ed25519)");
  }
  return Bad("OpenSSL refuses to use " + identity->title + " (" + error.reason +
             "); use ECDSA with P-256, or RSA with 2048 bits or more");
}

absl::Status TlsContext::AddTrust(const std::string& ca_file,
                                  const std::string& ca_path,
                                  const std::string& ca_pem) {
  std::vector<PemText> texts;
  if (!ca_file.empty()) {
    absl::StatusOr<PemText> file = ReadPemFile("CA file", ca_file);
    if (!file.ok()) return file.status();
    texts.push_back(*std::move(file));
  }
  if (!ca_pem.empty()) {
    texts.push_back({"CA certificate", "given as text", ca_pem});
  }
  X509_STORE* store = SSL_CTX_get_cert_store(ssl_context_);
  for (const PemText& text : texts) {
    auto certificates = ParseCertificates(library_, text);
    if (!certificates.ok()) return certificates.status();
    for (const X509Handle& certificate : *certificates) {
      TLSPOST_CHECK(X509_STORE_add_cert(store, certificate.get()) == 1);
    }
  }
  if (ca_path.empty()) return absl::OkStatus();
  struct stat facts = {};
  if (stat(ca_path.c_str(), &facts) != 0 || !S_ISDIR(facts.st_mode)) {
    return Bad("CA directory " + ca_path +
               " is not a directory that can be read; correct the path");
  }
  TLSPOST_CHECK(X509_STORE_load_path(store, ca_path.c_str()) == 1);
  return absl::OkStatus();
}

absl::Status TlsContext::UseTickets(std::shared_ptr<TicketKeys> keys) {
  ticket_keys_ = keys != nullptr ? std::move(keys) : TicketKeys::Random();
  ticket_cipher_ = EVP_CIPHER_fetch(library_, "AES-256-CBC", nullptr);
  if (ticket_cipher_ == nullptr) {
    return Bad("OpenSSL has no AES-256-CBC here (" + TakeOpenSslError().reason +
               "), which session tickets need; install its default provider");
  }
  // One stateless ticket per handshake: each costs a tenth of it.
  TLSPOST_CHECK(SSL_CTX_set_num_tickets(ssl_context_, 1) == 1);
  TLSPOST_CHECK(
      SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl_context_, &OnTicketKey) == 1);
  return absl::OkStatus();
}

}  // namespace tlspost::tls
