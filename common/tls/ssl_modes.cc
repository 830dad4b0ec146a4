#include "common/tls/ssl_modes.h"

#include <cstddef>

#include "common/tls/tls_wire.h"

namespace tlspost::tls {
namespace {

// A peer's certificate chain; the honest ones stay far below.
constexpr size_t kMaxPeerChainOctets = size_t{32} << 10;

}  // namespace

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
  WatchWire(context);
}

}  // namespace tlspost::tls
