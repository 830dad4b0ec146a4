// Lines out of chunks, replies into writes.

#include "proxy/client_channel.h"

#include <utility>

#include "common/base/check.h"
#include "common/base/co_try.h"
#include "common/smtp/auth.h"

namespace tlspost {

using smtp::LineBuffer;

ClientChannel::ClientChannel(std::unique_ptr<io::Stream> stream,
                             size_t line_length_limit, const Terms& terms)
    : stream_(std::move(stream)), lines_(line_length_limit), terms_(terms) {}

std::optional<ClientChannel::Line> ClientChannel::TakeLine() {
  if (has_put_back_) {
    has_put_back_ = false;
    return Line{.too_long = false, .text = **put_back_};
  }
  put_back_.reset();
  const std::optional<Line> line = NextLine();
  if (!line.has_value()) return line;
  const bool is_secret = awaits_secret_;
  awaits_secret_ = false;
  if (is_traced()) {
    terms_.trace->NoteLine(stream_.transport(), line->text, is_secret);
  }
  return line;
}

std::optional<ClientChannel::Line> ClientChannel::NextLine() {
  // The chunk that the last line pointed into is given back only now.
  if (chunk_.size() == consumed_) {
    chunk_.Release();
    consumed_ = 0;
    return std::nullopt;
  }
  const LineBuffer::Result next = lines_.Next(chunk_.view().substr(consumed_));
  consumed_ += static_cast<uint32_t>(next.consumed);
  if (next.kind == LineBuffer::Kind::kNeedMore) {
    chunk_.Release();
    consumed_ = 0;
    return std::nullopt;
  }
  return Line{.too_long = next.kind == LineBuffer::Kind::kTooLong,
              .text = next.line};
}

void ClientChannel::TraceEvent(std::string_view what) {
  if (is_traced()) terms_.trace->NoteEvent(stream_.transport(), what);
}

void ClientChannel::TraceMessage(uint64_t octets) {
  if (is_traced()) {
    TraceEvent("message of " + std::to_string(octets) + " octets");
  }
}

void ClientChannel::PutBack(std::string_view line) {
  TLSPOST_REQUIRE(!has_put_back_);
  // The line may be the one that was put back before.
  put_back_ = std::make_unique<SpareString>(line);
  has_put_back_ = true;
}

Task<absl::StatusOr<bool>> ClientChannel::HasMore() {
  const io::Time deadline = loop().Now() + terms_.write_timeout;
  while (true) {
    const absl::Status here = Refill();
    if (stream_.has_output()) CO_TRY(co_await stream_.Flush(deadline));
    // The end of its side says nothing.
    if (absl::IsOutOfRange(here)) co_return false;
    if (!here.ok()) co_return here;
    if (!unread().empty()) co_return true;
    if (!stream_.transport().readable()) co_return false;
    auto received = co_await stream_.Receive(deadline);
    if (!received.ok()) co_return received.status();
    stream_.Feed(*std::move(received));
  }
}

void ClientChannel::WipePutBack() {
  TLSPOST_REQUIRE(!has_put_back_);
  if (put_back_ != nullptr) smtp::Wipe(**put_back_);
  put_back_.reset();
}

void ClientChannel::Consume(size_t octets) {
  TLSPOST_REQUIRE(octets <= unread().size());
  consumed_ += static_cast<uint32_t>(octets);
  if (consumed_ < chunk_.size()) return;
  chunk_.Release();
  consumed_ = 0;
}

Task<absl::Status> ClientChannel::Fill(io::Time deadline) {
  TLSPOST_REQUIRE(unread().empty());
  chunk_.Release();
  consumed_ = 0;
  CO_TRY_LET(chunk, co_await stream_.Read(deadline));
  if (chunk.empty()) co_return absl::OutOfRangeError("end of input");
  chunk_ = std::move(chunk);
  co_return absl::OkStatus();
}

absl::Status ClientChannel::Refill() {
  if (!unread().empty()) return absl::OkStatus();
  chunk_.Release();
  consumed_ = 0;
  const absl::StatusOr<tls::TlsStream::Progress> progress =
      stream_.Next(&chunk_);
  if (!progress.ok()) return progress.status();
  if (*progress == tls::TlsStream::Progress::kEnd) {
    return absl::OutOfRangeError("end of input");
  }
  return absl::OkStatus();
}

absl::Status ClientChannel::Accept(absl::StatusOr<io::Chunk> received) {
  if (!received.ok()) return received.status();
  stream_.Feed(*std::move(received));
  return Refill();
}

Task<absl::Status> ClientChannel::Flush(io::Time deadline) {
  if (!needs_flush()) co_return absl::OkStatus();
  // The client takes it when it likes.
  Park();
  if (pending_ == nullptr) {
    absl::Status flushed = co_await stream_.Flush(deadline);
    cannot_hear_ = !flushed.ok();
    co_return flushed;
  }
  const std::unique_ptr<SpareString> replies = std::move(pending_);
  absl::Status written = co_await stream_.Write(**replies, deadline);
  cannot_hear_ = !written.ok();
  co_return written;
}

size_t ClientChannel::DiscardInput() {
  size_t octets = unread().size() + (has_put_back_ ? (*put_back_)->size() : 0);
  if (lines_.in_line()) ++octets;
  chunk_.Release();
  consumed_ = 0;
  lines_.Clear();
  has_put_back_ = false;
  put_back_.reset();
  octets += stream_.DiscardInput();
  return octets;
}

void ClientChannel::ForgetInput() {
  chunk_.Release();
  consumed_ = 0;
  stream_.Park();
}

void ClientChannel::Park() {
  stream_.Park();
  if (unread().empty()) {
    chunk_.Release();
  } else {
    chunk_ = loop().blocks().Copy(unread());
  }
  consumed_ = 0;
}

}  // namespace tlspost
