#include "tests/unit/tls/raw_peer.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include "common/base/check.h"
#include "tests/unit/tls/pem_bio.h"

namespace tlspost::tls {
namespace {

void UseIdentity(SSL_CTX* context, const TestIdentity& identity) {
  const X509Handle certificate(PEM_read_bio_X509(Over(identity.cert_pem).get(),
                                                 nullptr, nullptr, nullptr));
  const KeyHandle key(PEM_read_bio_PrivateKey(Over(identity.key_pem).get(),
                                              nullptr, nullptr, nullptr));
  TLSPOST_CHECK(SSL_CTX_use_certificate(context, certificate.get()) == 1);
  TLSPOST_CHECK(SSL_CTX_use_PrivateKey(context, key.get()) == 1);
}

}  // namespace

RawPeer::RawPeer(int version, Role role) {
  const bool server = role == Role::kServer;
  context_.reset(
      SSL_CTX_new(server ? TLS_server_method() : TLS_client_method()));
  SSL_CTX_set_min_proto_version(context_.get(), version);
  SSL_CTX_set_max_proto_version(context_.get(), version);
  if (server) UseIdentity(context_.get(), SharedIdentity(KeyKind::kP256));
  ssl_.reset(SSL_new(context_.get()));
  input_ = BIO_new(BIO_s_mem());
  output_ = BIO_new(BIO_s_mem());
  BIO_set_mem_eof_return(input_, -1);
  BIO_set_mem_eof_return(output_, -1);
  SSL_set_bio(ssl_.get(), input_, output_);
  if (server) {
    SSL_set_accept_state(ssl());
  } else {
    SSL_set_connect_state(ssl());
  }
}

std::string RawPeer::TakeWritten() {
  std::string text;
  char block[4096];
  int got = 0;
  while ((got = BIO_read(output_, block, sizeof(block))) > 0) {
    text.append(block, static_cast<size_t>(got));
  }
  return text;
}

bool RawPeer::Step(End& end) {
  bool moved = false;
  ERR_clear_error();
  if (!SSL_is_init_finished(ssl())) SSL_do_handshake(ssl());
  if (SSL_is_init_finished(ssl())) {
    char block[4096];
    int got = 0;
    while ((got = SSL_read(ssl(), block, sizeof(block))) > 0) {
      received.append(block, static_cast<size_t>(got));
    }
  }
  ERR_clear_error();
  end.arrived += TakeWritten();
  if (!end.arrived.empty()) {
    moved = true;
    end.Feed(end.arrived.size());
    end.Advance();
  }
  if (end.engine.has_output()) {
    moved = true;
    const std::string output = end.engine.TakeOutput();
    BIO_write(input_, output.data(), static_cast<int>(output.size()));
  }
  return moved;
}

void RawPeer::PumpWith(End& end) {
  while (Step(end)) {
  }
}

}  // namespace tlspost::tls
