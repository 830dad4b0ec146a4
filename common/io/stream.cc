// What every loop's streams do alike: inbox, one reader, one writer, closing.

#include "common/io/stream.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/base/status.h"

namespace tlspost::io {
namespace {

// Inboxes that are in nobody's use, with their memory: one is needed whenever
// more arrives at once than is read at once. A thread keeps so many.
constexpr size_t kMaxSpareInboxes = 64;
thread_local std::vector<std::vector<Chunk>> spare_inboxes;

// `inbox` is empty and has no memory.
void Prepare(std::vector<Chunk>& inbox) {
  if (spare_inboxes.empty()) return;
  inbox = std::move(spare_inboxes.back());
  spare_inboxes.pop_back();
}

// Drops what is in `inbox`, and its memory.
void GiveUp(std::vector<Chunk>& inbox) {
  inbox.clear();
  const bool is_kept =
      inbox.capacity() > 0 && spare_inboxes.size() < kMaxSpareInboxes;
  if (is_kept) spare_inboxes.push_back(std::move(inbox));
  inbox = std::vector<Chunk>();
}

}  // namespace

// --- ReadOp ---------------------------------------------------------------

ReadOp::ReadOp(Stream& stream, Time deadline)
    : Op(stream.loop(), deadline), stream_(stream), result_(Chunk()) {}

void ReadOp::Begin() { stream_.StartRead(*this); }

void ReadOp::OnDeadline() {
  stream_.CancelRead(absl::DeadlineExceededError("timeout"));
}

// --- WriteOp --------------------------------------------------------------

WriteOp::WriteOp(Stream& stream, std::string_view first,
                 std::string_view second, Time deadline)
    : Op(stream.loop(), deadline), stream_(stream), slices_{first, second} {}

void WriteOp::Begin() { stream_.StartWrite(*this); }

void WriteOp::OnDeadline() {
  cancel_reason_ = absl::DeadlineExceededError("timeout");
  stream_.CancelWriting();
}

void WriteOp::Advance(size_t count) {
  for (std::string_view& slice : slices_) {
    const size_t taken = std::min(count, slice.size());
    slice.remove_prefix(taken);
    count -= taken;
  }
  TLSPOST_CHECK(count == 0);
}

// --- Stream ---------------------------------------------------------------

Stream::~Stream() {
  // An op under way would be left waiting for ever.
  TLSPOST_CHECK(reader_ == nullptr && writer_ == nullptr);
}

void Stream::SetWantsInput(bool wants) {
  if (wants_input_ == wants) return;
  wants_input_ = wants;
  if (wants) {
    StartReceiving();
  } else {
    StopReceiving();
  }
}

bool Stream::InboxIsFull() const {
  return inbox_octets_ >= kReadHighWater ||
         inbox_.size() >= kReadHighWaterChunks;
}

void Stream::Watch() {
  if (!closed_ && !ended_ && !InboxIsFull()) SetWantsInput(true);
}

void Stream::StartRead(ReadOp& op) {
  TLSPOST_REQUIRE(reader_ == nullptr);
  reader_ = &op;
  if (!inbox_.empty()) return CompleteRead(TakeFirst());
  if (closed_) return CompleteRead(absl::CancelledError("closed here"));
  if (ended_) {
    if (end_reason_.ok()) return CompleteRead(Chunk());
    return CompleteRead(end_reason_);
  }
  SetWantsInput(true);
}

Chunk Stream::TakeFirst() {
  Chunk chunk = std::move(inbox_.front());
  inbox_.erase(inbox_.begin());
  if (inbox_.empty()) GiveUp(inbox_);
  inbox_octets_ -= static_cast<uint32_t>(chunk.size());
  return chunk;
}

Chunk Stream::TakeReceived() {
  TLSPOST_REQUIRE(reader_ == nullptr);
  return inbox_.empty() ? Chunk() : TakeFirst();
}

void Stream::PutBack(Chunk chunk) {
  TLSPOST_REQUIRE(reader_ == nullptr);
  if (closed_ || chunk.empty()) return;
  inbox_octets_ += static_cast<uint32_t>(chunk.size());
  if (inbox_.capacity() == 0) Prepare(inbox_);
  inbox_.insert(inbox_.begin(), std::move(chunk));
  if (InboxIsFull()) SetWantsInput(false);
}

void Stream::CompleteRead(absl::StatusOr<Chunk> result) {
  ReadOp& op = *std::exchange(reader_, nullptr);
  op.result_ = std::move(result);
  op.Finish();
}

void Stream::CancelRead(absl::Status reason) {
  if (reader_ != nullptr) CompleteRead(std::move(reason));
}

void Stream::Deliver(Chunk chunk) {
  if (closed_) return;
  if (reader_ != nullptr && inbox_.empty()) {
    CompleteRead(std::move(chunk));
    return;
  }
  inbox_octets_ += static_cast<uint32_t>(chunk.size());
  if (inbox_.empty() || !inbox_.back().Append(chunk.view())) {
    if (inbox_.capacity() == 0) Prepare(inbox_);
    inbox_.push_back(std::move(chunk));
  }
  if (InboxIsFull()) SetWantsInput(false);
}

void Stream::DeliverEnd(absl::Status reason) {
  if (closed_ || ended_) return;
  ended_ = true;
  end_reason_ = std::move(reason);
  wants_input_ = false;
  if (reader_ == nullptr) return;
  if (end_reason_.ok()) return CompleteRead(Chunk());
  CompleteRead(end_reason_);
}

size_t Stream::DiscardInput() {
  TLSPOST_REQUIRE(reader_ == nullptr);
  GiveUp(inbox_);
  return std::exchange(inbox_octets_, 0);
}

Stream::Facts& Stream::NeedFacts() const {
  if (facts_ == nullptr) facts_ = std::make_unique<Facts>();
  return *facts_;
}

const Endpoint& Stream::local() const {
  if (!HasEnds()) NeedFacts().ends.reset(new Ends{peer_, SocketLocal()});
  return facts_->ends->local;
}

void Stream::SetEnds(Endpoint peer, Endpoint local) {
  NeedFacts().ends.reset(new Ends{std::move(peer), std::move(local)});
}

void Stream::SetPeerName(std::shared_ptr<const PeerName> name) {
  NeedFacts().name = std::move(name);
}

void Stream::StartWrite(WriteOp& op) {
  TLSPOST_REQUIRE(writer_ == nullptr);
  writer_ = &op;
  if (closed_) return FinishWrite(absl::CancelledError("closed here"));
  if (op.all_written()) return FinishWrite(absl::OkStatus());
  StartWriting(op);
}

void Stream::FinishWrite(absl::Status result) {
  WriteOp& op = *std::exchange(writer_, nullptr);
  if (!result.ok() && !op.cancel_reason_.ok()) {
    result = std::move(op.cancel_reason_);
  }
  op.result_ = std::move(result);
  op.Finish();
}

void Stream::Close() {
  if (closed_) return;
  closed_ = true;
  wants_input_ = false;
  GiveUp(inbox_);
  inbox_octets_ = 0;
  CancelRead(absl::CancelledError("closed here"));
  if (writer_ != nullptr) {
    if (writer_->cancel_reason_.ok()) {
      writer_->cancel_reason_ = absl::CancelledError("closed here");
    }
    CancelWriting();
  }
  DoClose();
}

// --- ConnectOp ------------------------------------------------------------

ConnectOp::ConnectOp(Loop& loop, const Endpoint& endpoint, Time deadline)
    : Op(loop, deadline),
      endpoint_(endpoint),
      result_(absl::UnknownError("connect under way")) {}

void ConnectOp::Begin() { loop().StartConnect(*this); }

void ConnectOp::OnDeadline() {
  timed_out_ = true;
  Cancel();
}

void ConnectOp::Complete(absl::StatusOr<std::unique_ptr<Stream>> result) {
  completed_ = true;
  if (timed_out_ && !result.ok()) {
    result = absl::DeadlineExceededError(
        absl::StrFormat("connect to %s: timeout", endpoint_.ToString()));
  }
  result_ = std::move(result);
  Finish();
}

}  // namespace tlspost::io
