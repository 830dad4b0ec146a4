// The encrypted side of one connection: a BIO over the owner's bytes, the
// limits on what a peer may make us do, and what was seen going by.
//
// The BIO copies from the owner's input straight into libssl and appends what
// libssl writes to `output`; there is no memory BIO and no BIO pair between.
// It never waits. Private to common/tls: it includes OpenSSL.

#ifndef TLSPOST_COMMON_TLS_TLS_WIRE_H_
#define TLSPOST_COMMON_TLS_TLS_WIRE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/tls/openssl_handles.h"
#include "common/tls/tls_trace.h"

namespace tlspost::tls {

// Lives as long as the SSL; its address is the BIO's data.
struct TlsWire {
  std::string_view* input = nullptr;  // the engine's; shrinks as it is read
  std::string output;                 // ciphertext the owner has not taken

  // Messages after the handshake that cost us and bring the peer nothing
  // (KeyUpdates, and renegotiations we refused) are paid for with plaintext:
  // octets of it that are still to its credit.
  int64_t control_credit = 0;
  std::unique_ptr<TlsTrace> trace;  // null: nobody wants to know

  // Octets libssl may still read during the handshake; at 0 it gets a hard
  // error instead. It is how a limit ends a connection from within any call.
  uint32_t read_budget = 0;
  uint32_t policy_candidates = 0;  // bit i: ServerTlsOptions::policies[i]
  bool over_limit = false;
  bool answered = false;  // something was written
  bool handshake_done = false;

  bool saw_input = false;
  uint8_t first_octet = 0;
  // The newest version the ClientHello offers; 0: no ClientHello was parsed.
  uint16_t offered_version = 0;
  // Of the policy that applies; known for sure after the ClientHello.
  uint16_t minimum_version = 0;
  bool terms_applied = false;
  int8_t applied_policy = -1;  // its index; -1: none of them
  // The last ones but for close_notify; -1: none.
  int16_t alert_received = -1;
  int16_t alert_sent = -1;
};

// Appends nothing beyond this; libssl is then told to try again later. Above
// TlsEngine::kMaxPendingOutput, so that a record begun below that limit and
// libssl's own messages always fit.
inline constexpr size_t kWireOutputLimit = size_t{80} << 10;

// A BIO whose data is `wire`.
BioHandle NewWireBio(OSSL_LIB_CTX* library, TlsWire* wire);

// That of the BIO that `ssl` reads from, which must be one of these; null: it
// has none yet. (Data of the SSL's own would be 100 octets in each.)
TlsWire* WireOf(const SSL* ssl);

// Lets the SSLs of `context` note in their TlsWire what goes by. What they read
// from must be a BIO of NewWireBio.
void WatchWire(SSL_CTX* context);

}  // namespace tlspost::tls

#endif  // TLSPOST_COMMON_TLS_TLS_WIRE_H_
