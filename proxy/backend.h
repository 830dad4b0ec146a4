// Backend: one SMTP connection to the mail server behind us, in plaintext or,
// when the pool asks for it, under TLS.
//
// It knows the bytes that were sent and the replies that were read, what the
// server offers, whose identity the connection carries, and whether it is at a
// boundary: nothing sent unanswered, nothing received unread, no transaction
// open. It never decides who may use it: that is the pool's part.

#ifndef TLSPOST_PROXY_BACKEND_H_
#define TLSPOST_PROXY_BACKEND_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/spare_string.h"
#include "common/base/task.h"
#include "common/io/stream.h"
#include "common/smtp/capabilities.h"
#include "common/smtp/reply_parser.h"
#include "common/smtp/xclient.h"
#include "common/tls/tls_stream.h"
#include "proxy/counters.h"

namespace tlspost {

class BackendTarget;

struct BackendReply {
  BackendReply(int reply_code, std::string reply_text)
      : code(reply_code), text(std::move(reply_text)) {}
  BackendReply(BackendReply&&) = default;
  BackendReply& operator=(BackendReply&&) = default;
  ~BackendReply() { KeepSpareString(text); }

  int code;
  std::string text;  // verbatim, all lines, CRLF ends

  bool is_success() const { return code / 100 == 2; }
};

class Backend {
 public:
  explicit Backend(std::unique_ptr<io::Stream> stream);

  // Ahead of all else: says by a PROXY header whose connection it is. With
  // null it is our own.
  Task<absl::Status> Announce(std::string_view header,
                              const smtp::ClientIdentity* identity,
                              io::Time deadline);
  // Reads the greeting and says EHLO (HELO, if that is refused). Error: the
  // server did not answer 220 and 250, and the text says what it said; or it
  // greets with `own_mark` in its words (if that is not empty), and is this
  // process itself.
  Task<absl::Status> Open(std::string hostname, std::string_view own_mark,
                          io::Time deadline);
  // STARTTLS, the handshake of `engine`, and EHLO again: what the server
  // offered before counts no more (RFC 3207 section 4.2). Error: no TLS, and
  // the connection is of no more use.
  Task<absl::Status> StartTls(std::unique_ptr<tls::TlsEngine> engine,
                              std::string hostname, io::Time deadline);

  // What clients shall not use, although it is offered. PIPELINING, which we
  // use ourselves, stays.
  void LeaveOut(const std::vector<std::string>& keywords);

  // Sends whole commands, `expected_replies` of which will be answered. The
  // bytes must live until the call returns.
  Task<absl::Status> Send(std::string_view commands, int expected_replies,
                          io::Time deadline);
  // Sends a part of a message; nothing is answered but its end.
  Task<absl::Status> SendData(std::string_view header, std::string_view body,
                              io::Time deadline);
  // The reply to the message's end is now expected.
  void ExpectReply() { ++expected_replies_; }

  // The next reply, which is to `step`. Errors: lost connection, timeout, not
  // SMTP.
  Task<absl::StatusOr<BackendReply>> ReadReply(
      io::Time deadline, BackendStep step = BackendStep::kOther);

  // Says who the client of the next transaction is, in as many commands as it
  // takes. The last reply is 250, or the first that is another.
  Task<absl::StatusOr<BackendReply>> Forward(
      const smtp::ClientIdentity& identity, std::string_view transaction,
      io::Time deadline);
  // Says who the client is. The connection carries `identity` if the reply is
  // 220, an unknown part of it otherwise.
  Task<absl::StatusOr<BackendReply>> Introduce(
      const smtp::ClientIdentity& identity, io::Time deadline);
  // EHLO as the client's name, or HELO if it has said that, after XCLIENT or
  // when the client has greeted anew. 250 has what is offered now: after HELO
  // nothing.
  Task<absl::StatusOr<BackendReply>> GreetAs(
      const smtp::ClientIdentity& identity, io::Time deadline);

  // Forgets an open transaction: RSET. OK if the server said 250.
  Task<absl::Status> ResetTransaction(io::Time deadline);

  // Something waits to be read: an early reply, or the connection's end.
  // Under TLS what came is decrypted to see: a session ticket is nothing that
  // anybody waits for.
  bool readable();
  // All that was asked is answered and all that was received is read.
  bool at_boundary() {
    return expected_replies_ == 0 && !parser_.in_reply() && !readable();
  }
  // Whether a reply has begun to arrive since the last one ended.
  bool in_reply() const { return parser_.in_reply(); }

  // What the greeting's EHLO reply offered.
  const smtp::EhloCapabilities& capabilities() const { return capabilities_; }
  // Whether commands may go out before the one ahead is answered: it has
  // offered PIPELINING, and not only heard HELO since (RFC 2920 section 2).
  bool pipelines() const { return capabilities_.pipelining && !said_helo_; }
  // Whether the server takes one more MAIL over this connection (RFC 9422
  // section 4.1).
  bool takes_mail() const {
    const auto& limits = capabilities_.limits;
    return !limits.has_value() || !limits->mails.has_value() ||
           static_cast<uint64_t>(mails) < *limits->mails;
  }
  const std::optional<smtp::ClientIdentity>& identity() const {
    return identity_;
  }
  // What Announce has said; empty if it was not called.
  const std::string& announced() const { return announced_; }
  // The first line of the greeting that was 220, without its end.
  const std::string& greeting() const { return greeting_; }
  // The greeting that was not 220, whole; empty when there was none such.
  const std::string& refusal() const { return refusal_; }

  io::Stream& stream() { return stream_.transport(); }
  // Its own, as the log names it.
  const std::string& address() const { return address_; }
  io::Loop& loop() { return stream().loop(); }
  // Null in plaintext.
  const tls::TlsEngine* tls() const { return stream_.engine(); }

  // How often Introduce was called.
  int introductions() const { return introductions_; }

  // From now on it is one client's, until it is closed: because that client
  // keeps it, or because what it says to it (AUTH) stays across RSET.
  void Dedicate() { dedicated_ = true; }
  bool dedicated() const { return dedicated_; }

  // It has answered something with 421: it takes leave of us.
  bool farewell_said() const { return farewell_said_; }

  // --- the pool's notes ---
  Counters* counters = nullptr;     // where its replies count; null: nowhere
  BackendTarget* target = nullptr;  // where it leads to
  io::Time opened_at;
  io::Time idle_since;
  int opening = 0;  // see BackendPool
  int uses = 0;
  // Transactions that were begun, with whatever success.
  int mails = 0;
  // Errors the server has counted against this connection: Postfix keeps them
  // until a message is accepted, across RSET and XCLIENT (finding 5).
  int errors = 0;

 private:
  void CountReply(BackendStep step, int code, io::Duration waited);
  Task<absl::Status> SayEhlo(std::string hostname, io::Time deadline);

  tls::TlsStream stream_;
  const std::string address_;
  smtp::ReplyParser parser_;
  io::Chunk chunk_;
  int expected_replies_ = 0;
  smtp::EhloCapabilities capabilities_;
  std::optional<smtp::ClientIdentity> identity_;
  std::string greeting_;
  std::string refusal_;
  std::string announced_;
  int introductions_ = 0;
  bool dedicated_ = false;
  bool farewell_said_ = false;
  bool said_helo_ = false;  // and no EHLO since
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_BACKEND_H_
