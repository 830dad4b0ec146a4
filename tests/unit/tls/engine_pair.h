// A client and a server engine with a wire between them that tests can cut.

#ifndef TLSPOST_TESTS_UNIT_TLS_ENGINE_PAIR_H_
#define TLSPOST_TESTS_UNIT_TLS_ENGINE_PAIR_H_

#include <cstddef>
#include <limits>
#include <memory>
#include <string>

#include "common/tls/tls_context.h"
#include "common/tls/tls_engine.h"
#include "tests/unit/tls/test_certificates.h"

namespace tlspost::tls {

using Step = TlsEngine::Step;

// A client that speaks this version and no other.
inline ClientTlsOptions Only(TlsVersion version) {
  ClientTlsOptions options;
  options.min_version = version;
  options.max_version = version;
  return options;
}

std::shared_ptr<TlsContext> ServerContext(ServerTlsOptions options = {});
std::shared_ptr<TlsContext> ClientContext(ClientTlsOptions options = {});

// One end: an engine, and the ciphertext that has arrived for it.
struct End {
  explicit End(std::shared_ptr<TlsContext> context)
      : engine(std::move(context)) {}

  // Gives the engine up to `most` octets of what has arrived, in a buffer of
  // exactly that size, so that a sanitizer sees any read beyond it. The
  // engine must use them up before the next call.
  void Feed(size_t most);

  // Goes on with the handshake or reads, until more input is needed.
  Step Advance();

  TlsEngine engine;
  std::string arrived;  // and not yet fed
  std::unique_ptr<char[]> fed;
  std::string plaintext;  // read so far
  size_t read_capacity = 4096;
  Step last = Step::kWantRead;
};

class EnginePair {
 public:
  EnginePair(std::shared_ptr<TlsContext> client_context,
             std::shared_ptr<TlsContext> server_context)
      : client(std::move(client_context)), server(std::move(server_context)) {}

  // Moves bytes until both ends have nothing to say, at most `most` octets at
  // a time.
  void Pump(size_t most = std::numeric_limits<size_t>::max());

  // True when both have ended the handshake.
  bool Connect(size_t most = std::numeric_limits<size_t>::max());

  End client;
  End server;
  size_t client_sent = 0;  // octets of ciphertext
  size_t server_sent = 0;
  // The first piece that the other end gets has this size, if it is not 0:
  // together with Connect it cuts the conversation in one place.
  size_t cut_client_at = 0;
  size_t cut_server_at = 0;

 private:
  bool Move(End& from, End& to, size_t* sent, size_t cut_at, size_t most);
};

// Writes all of `text`, and lets the other end read it.
bool Send(EnginePair& pair, End& from, std::string_view text);

}  // namespace tlspost::tls

#endif  // TLSPOST_TESTS_UNIT_TLS_ENGINE_PAIR_H_
