// One TLS connection as a machine over bytes: ciphertext in, plaintext out,
// and the other way round.
//
// It never touches a socket, a clock or a thread, and never waits: every call
// does what can be done with the bytes at hand and says what is missing. All
// that a peer can make it hold or do is bounded by the constants below. Both
// roles; the context decides which.
//
// The owner's loop, in short:
//   SetInput(bytes)  then Handshake() or Read() until kWantRead;
//   after every call: if (has_output()) send(TakeOutput()).
// That also holds after kFailed: the output is then the alert that tells the
// peer why.
//
// Memory: 56 octets until a server has seen the first octet from its client
// (or a client starts), then libssl's 44 KB while the handshake is under way
// and 14 KB afterwards. Output is on the heap only while there is some.

#ifndef TLSPOST_COMMON_TLS_TLS_ENGINE_H_
#define TLSPOST_COMMON_TLS_TLS_ENGINE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/base/tls_description.h"
#include "common/tls/certificate_facts.h"
#include "common/tls/tls_context.h"
#include "common/tls/tls_failure.h"
#include "common/tls/tls_session.h"

namespace tlspost::tls {

class TlsTrace;

class TlsEngine {
 public:
  enum class Step : uint8_t {
    kDone,       // it did what it was asked
    kWantRead,   // all input is used up; it needs more
    kWantWrite,  // kMaxPendingOutput waits to be taken; then call again
    kClosed,     // the peer ended its side as it should (close_notify)
    kTruncated,  // the input ended without close_notify: what was read may
                 // not be all that was sent
    kFailed,     // error() says why; the connection is of no more use
  };

  // What a client may send before it gets the first answer.
  static constexpr size_t kMaxClientHelloOctets = size_t{16} << 10;
  // What either peer may send in the rest of the handshake.
  static constexpr size_t kMaxHandshakeOctets = size_t{128} << 10;
  // Write takes no more plaintext while this much ciphertext waits.
  static constexpr size_t kMaxPendingOutput = size_t{64} << 10;
  // KeyUpdates and refused renegotiations that a peer may cause: so many, and
  // one more for each part of that size that it sends. Honest peers change
  // keys once in many gigabytes. By octets and not by seconds (protocol edge
  // 29): there is no clock here, and no peer gets more by waiting.
  static constexpr uint64_t kMaxControlMessages = 16;
  static constexpr uint64_t kOctetsPerControlMessage = uint64_t{1} << 20;

  // RFC 1035 section 2.3.4.
  static constexpr size_t kMaxServerName = 255;

  explicit TlsEngine(std::shared_ptr<TlsContext> context);
  TlsEngine(const TlsEngine&) = delete;
  TlsEngine& operator=(const TlsEngine&) = delete;
  ~TlsEngine();

  // Server only, before the first Handshake: which policies of the context may
  // apply to this client. Bit i stands for ServerTlsOptions::policies[i]; the
  // first one whose names fit what the client asks for does apply.
  void SetPolicyCandidates(uint32_t mask);
  // The one that applied, once established; -1: none did.
  int applied_policy() const;

  // Tells `trace` from now on what goes on; null: nobody. Begins the
  // connection's state at once.
  void SetTrace(std::unique_ptr<TlsTrace> trace);

  // Client only, before the first Handshake: the name to ask for (SNI), which
  // the certificate must have if the context verifies; an IP address is looked
  // for in the certificate and not asked for. And a session with that server to
  // try to resume. A name has 1 to kMaxServerName octets.
  void SetServerName(const std::string& name);
  void SetSession(const TlsSession& session);

  // Ciphertext from the peer. The bytes must stay where they are until
  // input_left() is 0, and the input before must have been used up: a
  // kWantRead says that it has.
  void SetInput(std::string_view ciphertext);
  size_t input_left() const { return input_.size(); }
  // What is left of the input now lies here.
  void MoveInput(std::string_view copy);

  // No more input will come.
  void SetEof() { eof_ = true; }

  [[nodiscard]] Step Handshake();

  // kDone: *got octets (at least one) are in `out`. Any other step comes with
  // *got == 0. There may be more plaintext until the answer is not kDone, even
  // if input_left() is 0.
  [[nodiscard]] Step Read(char* out, size_t capacity, size_t* got);

  // Adds to *taken what was accepted; kDone when it was all of `plaintext`.
  // After kWantWrite: take the output, and go on with the rest.
  [[nodiscard]] Step Write(std::string_view plaintext, size_t* taken);

  // Ends our side: puts close_notify into the output. Write refuses from now
  // on, Read goes on. Does nothing before the handshake is done, after a
  // failure, or a second time.
  void Shutdown();

  bool has_output() const;
  // What is to be sent to the peer, in order; leaves nothing behind.
  std::string TakeOutput();

  bool is_server() const { return context_->is_server(); }
  bool established() const;
  TlsDescription Describe() const;  // once established
  // 0x0304 for TLS 1.3, as on the wire; once established.
  uint16_t version() const;

  // The last alert (RFC 8446 section 6) that the peer sent, and that it was
  // sent, by its number; -1: none, or only the close_notify of an orderly end.
  int alert_received() const;
  int alert_sent() const;

  // Server only: the certificate that the client was shown; nothing before
  // that, or when an earlier session was resumed.
  std::optional<CertificateFacts> ServedCertificate() const;

  // Off: keeps libssl's record buffers (33 KB) between records, which a bulk
  // transfer is faster with. On is the default.
  void ReleaseBuffersWhileIdle(bool release);

  // Why it failed, in one plain line; OK if it did not. And the same as a
  // class, and as OpenSSL puts it ("error:0A00010B:SSL routines::...", for
  // Postfix's "TLS library problem: " line; empty if OpenSSL was content).
  absl::Status error() const;
  TlsFailure failure() const;
  std::string_view library_error() const;

  // Client only: the session to resume later; null while there is none. With
  // TLS 1.3 it comes after the handshake, with the first reads.
  std::unique_ptr<TlsSession> TakeSession();

 private:
  struct State;

  State& Begin();
  Step AfterCall(int result);
  Step FailAs(std::optional<TlsFailure> known);
  bool NothingToRead() const;
  bool has_failed() const;

  const std::shared_ptr<TlsContext> context_;
  std::unique_ptr<State> state_;  // made at the first octet
  std::string_view input_;
  uint32_t policy_candidates_ = 0;
  bool eof_ = false;
};

}  // namespace tlspost::tls

#endif  // TLSPOST_COMMON_TLS_TLS_ENGINE_H_
