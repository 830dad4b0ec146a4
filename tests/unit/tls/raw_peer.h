// A bare OpenSSL peer, for what an engine of ours never does: early data,
// renegotiation, floods of key updates.

#ifndef TLSPOST_TESTS_UNIT_TLS_RAW_PEER_H_
#define TLSPOST_TESTS_UNIT_TLS_RAW_PEER_H_

#include <openssl/ssl.h>

#include <string>
#include <string_view>

#include "common/tls/openssl_handles.h"
#include "tests/unit/tls/engine_pair.h"

namespace tlspost::tls {

class RawPeer {
 public:
  enum class Role { kClient, kServer };
  explicit RawPeer(int version, Role role = Role::kClient);

  SSL* ssl() { return ssl_.get(); }

  // Moves bytes between this peer and `end` until both are silent. The peer
  // does its handshake, then reads into `received`.
  void PumpWith(End& end);

  // What this peer has written, and not yet sent.
  std::string TakeWritten();

  std::string received;

 private:
  bool Step(End& end);

  SslContextHandle context_;
  SslHandle ssl_;
  BIO* input_ = nullptr;  // owned by ssl_
  BIO* output_ = nullptr;
};

}  // namespace tlspost::tls

#endif  // TLSPOST_TESTS_UNIT_TLS_RAW_PEER_H_
