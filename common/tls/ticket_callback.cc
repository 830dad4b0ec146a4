#include "common/tls/ticket_callback.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "common/tls/ticket_keys.h"
#include "common/tls/tls_context.h"
#include "common/tls/tls_wire.h"

namespace tlspost::tls {
namespace {

// Null when nobody listens.
TlsTrace* TraceOf(const SSL* ssl) { return WireOf(ssl)->trace.get(); }

// What OpenSSL understands.
constexpr int kError = -1;
constexpr int kNoTicket = 0;
constexpr int kUse = 1;
constexpr int kUseAndRenew = 2;

bool SetMacKey(EVP_MAC_CTX* mac, const TicketKey& key) {
  char digest[] = "SHA256";
  // The parameter type is not const, but keys are only read.
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_octet_string(
          OSSL_MAC_PARAM_KEY, const_cast<uint8_t*>(key.mac_key.data()),
          key.mac_key.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end()};
  return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

}  // namespace

int OnTicketKey(SSL* ssl, unsigned char* key_name, unsigned char* iv,
                EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac, int sealing) {
  const TlsContext& context = *static_cast<const TlsContext*>(
      SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  TlsTrace* const trace = TraceOf(ssl);
  const EVP_CIPHER* algorithm = context.ticket_cipher();
  if (sealing != 0) {
    const TicketKey key = context.ticket_keys().Current();
    const auto iv_size =
        static_cast<size_t>(EVP_CIPHER_get_iv_length(algorithm));
    std::memcpy(key_name, key.name.data(), key.name.size());
    if (RAND_bytes_ex(context.library(), iv, iv_size, 0) != 1) return kError;
    const bool ready =
        EVP_EncryptInit_ex2(cipher, algorithm, key.cipher_key.data(), iv,
                            nullptr) == 1 &&
        SetMacKey(mac, key);
    if (!ready) return kError;
    if (trace != nullptr) {
      trace->State(
          "Issuing session ticket, session lifetime: " +
          std::to_string(SSL_SESSION_get_timeout(SSL_get_session(ssl))));
    }
    return kUse;
  }
  const std::optional<TicketKeys::Found> found =
      context.ticket_keys().Find(std::string_view(
          reinterpret_cast<const char*>(key_name), sizeof(TicketKey::name)));
  // An unknown key means a full handshake, never a failed one.
  if (!found.has_value()) {
    if (trace != nullptr) trace->State("Session ticket has an unknown key");
    return kNoTicket;
  }
  const bool ready =
      SetMacKey(mac, found->key) &&
      EVP_DecryptInit_ex2(cipher, algorithm, found->key.cipher_key.data(), iv,
                          nullptr) == 1;
  if (!ready) return kError;
  if (trace != nullptr) trace->State("Decrypting session ticket");
  // A client's certificate is looked at again when the ticket's time is up,
  // and not put off by a new ticket each time.
  const bool asks = (SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER) != 0;
  return found->renew && !asks ? kUseAndRenew : kUse;
}

}  // namespace tlspost::tls
