// ClientChannel: one client's bytes as lines in and replies out.
//
// Replies are collected and sent in one write when the client has nothing more
// to say for now. The message behind DATA is read past the lines, straight
// from the received chunk. Knows nothing of SMTP states.

#ifndef TLSPOST_PROXY_CLIENT_CHANNEL_H_
#define TLSPOST_PROXY_CLIENT_CHANNEL_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/spare_string.h"
#include "common/base/task.h"
#include "common/io/stream.h"
#include "common/smtp/line_buffer.h"
#include "common/tls/tls_stream.h"
#include "proxy/counters.h"
#include "proxy/trace_hub.h"

namespace tlspost {

class ClientChannel {
 public:
  // Replies collected beyond this are sent although more commands wait.
  static constexpr size_t kMaxPendingReplies = 16384;

  // What many channels have in common.
  struct Terms {
    io::Duration write_timeout{};  // in which the client takes a reply
    TraceHub* trace = nullptr;     // told of lines and replies; null: nobody is
    // Where replies are counted; null: nowhere.
    decltype(Counters::client_replies)* replies = nullptr;
  };

  // A line may have `line_length_limit` octets. `terms` outlive the channel.
  ClientChannel(std::unique_ptr<io::Stream> stream, size_t line_length_limit,
                const Terms& terms);

  // Whoever listens is told as well what is no line.
  void TraceEvent(std::string_view what);
  void TraceMessage(uint64_t octets);

  // --- lines ---
  struct Line {
    // It was over the limit and is gone; `text` is LineBuffer::kLostBdat or
    // empty.
    bool too_long = false;
    std::string_view text;  // without line end; until the next call here

    // It is to be answered as it is, since nothing is known of it.
    bool is_lost() const { return too_long && text.empty(); }
  };
  // The next line if the client has sent it already.
  std::optional<Line> TakeLine();
  // Makes `line` the next one again.
  void PutBack(std::string_view line);
  // Whether the client has sent more already, of which no line was taken.
  // Waits for nothing but what TLS has to say. Errors: the client is lost.
  Task<absl::StatusOr<bool>> HasMore();
  // For the lines of an authentication exchange.
  void set_line_length_limit(size_t limit) { lines_.set_limit(limit); }
  // Overwrites the line that was put back and taken again: it was a secret.
  void WipePutBack();

  // --- bytes ---
  // What was received and is in no line yet: behind DATA, the message.
  std::string_view unread() const { return chunk_.view().substr(consumed_); }
  void Consume(size_t octets);
  // Awaits more when unread() is empty. Errors: OutOfRange when the client has
  // ended its side; Aborted by Interrupt; those of TlsStream.
  Task<absl::Status> Fill(io::Time deadline);

  // The same in steps, without a coroutine of its own, for the long wait of
  // an idle client: Refill makes unread() of what is here already, without
  // waiting; Accept takes what Receive gave. Errors as for Fill.
  absl::Status Refill();
  io::ReadOp Receive(io::Time deadline) { return stream_.Receive(deadline); }
  absl::Status Accept(absl::StatusOr<io::Chunk> received);

  // --- replies ---
  // `secret`: it repeats what the client answered to a challenge.
  void Say(std::string_view reply, bool secret = false) {
    if (reply.empty()) return;
    if (terms_.replies != nullptr) {
      ++terms_.replies->at(ReplyClassIndex(reply));
    }
    // The answer to a challenge is a secret.
    awaits_secret_ = reply.starts_with("334");
    if (is_traced()) {
      terms_.trace->NoteReplies(stream_.transport(), reply, secret);
    }
    if (pending_ == nullptr) pending_ = std::make_unique<SpareString>();
    (*pending_)->append(reply);
  }
  bool must_flush() const {
    return pending_ != nullptr && (*pending_)->size() >= kMaxPendingReplies;
  }
  bool needs_flush() const {
    return pending_ != nullptr || stream_.has_output();
  }
  // Parks first, which ends the last line's text.
  Task<absl::Status> Flush() {
    return Flush(loop().Now() + terms_.write_timeout);
  }
  Task<absl::Status> Flush(io::Time deadline);
  // The client did not take a reply: it may have a part of it, and nothing
  // more can be said.
  bool cannot_hear() const { return cannot_hear_; }

  // --- TLS and the end ---
  // Drops all that was received and not acted on; returns its octets.
  size_t DiscardInput();
  // The rest of what was received is kept in memory of our own, so that none
  // of the loop's receive buffers waits with us.
  void Park();
  // Nothing of what was received counts any more.
  void ForgetInput();
  tls::TlsStream& stream() { return stream_; }
  const tls::TlsStream& stream() const { return stream_; }
  // Ends a wait for the client's next line.
  void Interrupt() { stream_.transport().InterruptRead(); }

 private:
  io::Loop& loop() { return stream_.transport().loop(); }
  bool is_traced() const {
    return terms_.trace != nullptr && terms_.trace->active();
  }
  std::optional<Line> NextLine();

  tls::TlsStream stream_;
  smtp::LineBuffer lines_;
  io::Chunk chunk_;                // received last
  uint32_t consumed_ : 29 = 0;     // of it, from its front
  bool has_put_back_ : 1 = false;  // put_back_ is the next line
  bool cannot_hear_ : 1 = false;
  bool awaits_secret_ : 1 = false;  // the next line answers a challenge
  // The line that was put back, also while it is given out again. By pointer:
  // an idle client has none.
  std::unique_ptr<SpareString> put_back_;
  // Replies not sent yet; null when there are none.
  std::unique_ptr<SpareString> pending_;
  const Terms& terms_;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_CLIENT_CHANNEL_H_
