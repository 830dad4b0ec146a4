// The proxy's peers on a StillLoop: a mail server that takes everything, and a
// client whose every step is a call.
//
// Both are plain objects that the driver plays between the proxy's turns.

#ifndef TLSPOST_BENCH_INSTRUCTIONS_PEERS_H_
#define TLSPOST_BENCH_INSTRUCTIONS_PEERS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "bench/instructions/still_loop.h"
#include "common/tls/tls_engine.h"
#include "common/tls/tls_session.h"

namespace tlspost::still {

// One connection of the mail server. It offers what Postfix does, and XCLIENT.
class MailServer {
 public:
  explicit MailServer(std::shared_ptr<Wire> wire);

  // Answers what the proxy has sent. False: there was nothing.
  bool Answer();

  uint64_t messages() const { return messages_; }
  // Greetings in a client's name.
  uint64_t introductions() const { return introductions_; }
  const Wire& wire() const { return *wire_; }

 private:
  enum class State : uint8_t { kCommands, kMessage, kChunk };

  void TakeLine();
  void TakeMessage();
  void TakeChunk();
  void AnswerTo(std::string_view line);

  const std::shared_ptr<Wire> wire_;
  State state_ = State::kCommands;
  std::string_view rest_;  // of what the proxy has sent
  std::string line_;       // its beginning, where it came in pieces
  std::string tail_;       // the message's last octets
  std::string replies_;
  uint64_t chunk_left_ = 0;
  bool last_chunk_ = false;
  uint64_t messages_ = 0;
  uint64_t introductions_ = 0;
};

// One client. What it says arrives with the call; what it has heard is there
// after the proxy's next turn.
class Client {
 public:
  explicit Client(std::shared_ptr<Wire> wire) : wire_(std::move(wire)) {}

  // From now on under TLS, beginning with the handshake.
  void BeginTls(std::shared_ptr<tls::TlsContext> context,
                const tls::TlsSession* session);
  // One step of the handshake. True: it is done.
  bool Shake();

  void Say(std::string_view words);
  // What the proxy has said since the last call.
  std::string Hear();
  void End() { wire_->End(); }

  tls::TlsEngine* engine() { return engine_.get(); }
  const Wire& wire() const { return *wire_; }

 private:
  void SendOutput();

  const std::shared_ptr<Wire> wire_;
  std::unique_ptr<tls::TlsEngine> engine_;
  std::string block_;  // for plaintext
};

}  // namespace tlspost::still

#endif  // TLSPOST_BENCH_INSTRUCTIONS_PEERS_H_
