// Pipes that cut, delay, stall and reset.

#include "tests/sim/sim_stream.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/status/status.h"

namespace tlspost::sim {

using std::chrono_literals::operator""ms;

// --- Pipe -----------------------------------------------------------------

void Pipe::Kick() {
  if (faults_.random_delays && loop_.Random() % 8 == 0) {
    if (deadline() == io::kNever) {
      loop_.Arm(*this, loop_.Now() + (1 + loop_.Random() % 50) * 1ms);
    }
    return;
  }
  loop_.Post(*this);
}

void Pipe::Run() {
  TakeIn();
  DeliverSome();
  TakeIn();
}

void Pipe::TakeIn() {
  if (writer_ == nullptr || writer_->writer() == nullptr) return;
  io::WriteOp& op = *writer_->writer();
  if (reset_ || reader_ == nullptr) {
    writer_->FinishWrite(absl::UnavailableError("Connection reset by peer"));
    return;
  }
  for (std::string_view slice : op.slices()) {
    // What TCP would hold in its buffers; a write waits when it is full.
    const size_t capacity = faults_.capacity;
    const size_t room = capacity - std::min(capacity, bytes_.size());
    const size_t taken = std::min(room, slice.size());
    bytes_.append(slice.substr(0, taken));
    op.Advance(taken);
  }
  if (op.all_written()) writer_->FinishWrite(absl::OkStatus());
  if (ended_) bytes_.clear();  // behind the fault `end_after`
}

size_t Pipe::NextPiece() {
  size_t piece = std::min(bytes_.size(), io::BlockPool::kBlockSize);
  if (faults_.max_read > 0) piece = std::min(piece, faults_.max_read);
  if (faults_.random_cuts && piece > 1) piece = 1 + loop_.Random() % piece;
  // Each of these counts from the first octet of the connection.
  for (const auto& limit : {faults_.cut_at, faults_.stall_after,
                            faults_.end_after, faults_.reset_after}) {
    if (limit.has_value() && *limit > delivered_) {
      piece = std::min<size_t>(piece, *limit - delivered_);
    }
  }
  return piece;
}

void Pipe::DeliverSome() {
  if (reader_ == nullptr || ended_) return;
  if (reset_) {
    ended_ = true;
    reader_->DeliverEnd(absl::UnavailableError("Connection reset by peer"));
    return;
  }
  if (faults_.reset_after.has_value() && delivered_ >= *faults_.reset_after) {
    reader_->connection_->to_server.Reset();
    reader_->connection_->to_client.Reset();
    return;
  }
  if (faults_.stall_after.has_value() && delivered_ >= *faults_.stall_after) {
    return;
  }
  if (!reader_->wants_input()) return;
  if (faults_.end_after.has_value() && delivered_ >= *faults_.end_after) {
    bytes_.clear();
    finished_ = true;
  }
  if (bytes_.empty()) {
    if (!finished_) return;
    ended_ = true;
    reader_->DeliverEnd(absl::OkStatus());
    return;
  }
  const size_t piece = NextPiece();
  io::Chunk chunk = loop_.blocks().Copy(bytes_.substr(0, piece));
  bytes_.erase(0, piece);
  if (bytes_.empty()) std::string().swap(bytes_);  // idle costs nothing
  delivered_ += piece;
  if (faults_.delivered != nullptr) *faults_.delivered = delivered_;
  reader_->Deliver(std::move(chunk));
  Kick();
}

void Pipe::Reset() {
  if (reset_) return;
  reset_ = true;
  bytes_.clear();
  loop_.Post(*this);
}

// --- SimStream ------------------------------------------------------------

SimStream::SimStream(SimLoop& loop, std::shared_ptr<Connection> connection,
                     bool server, io::Endpoint peer, io::Endpoint local)
    : Stream(loop, std::move(peer)),
      sim_(loop),
      connection_(std::move(connection)),
      server_(server),
      local_(std::move(local)) {
  out().set_writer(this);
  in().set_reader(this);
  ++sim_.open_streams_;
}

SimStream::~SimStream() {
  Close();
  --sim_.open_streams_;
}

void SimStream::ShutdownWrite() { out().Finish(); }

void SimStream::CancelWriting() {
  if (writer() != nullptr) FinishWrite(absl::CancelledError("cancelled"));
}

void SimStream::DoClose() {
  const bool unread = in().holds_bytes();
  in().set_reader(nullptr);
  out().set_writer(nullptr);
  if (unread) {
    out().Reset();
  } else {
    out().Finish();
  }
  in().Kick();  // a writer at the other end learns that nobody reads
}

// --- SimListener ----------------------------------------------------------

SimListener::SimListener(SimLoop& loop, io::Endpoint local)
    : Listener(loop), sim_(loop), local_(std::move(local)) {
  sim_.listeners_[local_.ToString()] = this;
}

SimListener::~SimListener() { Close(); }

void SimListener::HandOver(std::unique_ptr<io::Stream> stream) {
  if (!failing_) return Deliver(std::move(stream));
  backlog_.push_back(std::move(stream));
  if (accepting_) StartAccepting();
}

void SimListener::StartAccepting() {
  accepting_ = !failing_ || backlog_.empty();
  if (!accepting_) {
    return Deliver(absl::ResourceExhaustedError("accept: Too many open files"));
  }
  auto waiting = std::move(backlog_);
  backlog_.clear();
  for (auto& stream : waiting) Deliver(std::move(stream));
}

void SimListener::DoClose(Queue /*queue*/) {
  backlog_.clear();
  sim_.listeners_.erase(local_.ToString());
  Ended();
}

}  // namespace tlspost::sim
