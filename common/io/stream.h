// Stream: a byte stream to one peer, and the operations a coroutine awaits.
//
// What all loops share is here: what was received and not yet read, the one
// reader, the one writer, their deadlines, closing. What differs is behind the
// protected virtual calls. A stream never interprets bytes.

#ifndef TLSPOST_COMMON_IO_STREAM_H_
#define TLSPOST_COMMON_IO_STREAM_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/io/chunk.h"
#include "common/io/endpoint.h"
#include "common/io/loop.h"
#include "common/io/op.h"
#include "common/io/peer_name.h"

namespace tlspost::io {

class Stream;

// Awaits the next received bytes. An empty chunk is the end of the stream
// (the peer closed its side). Errors: DeadlineExceeded, Unavailable (reset),
// Cancelled (Close was called here).
class [[nodiscard]] ReadOp final : public Op {
 public:
  ReadOp(Stream& stream, Time deadline);
  absl::StatusOr<Chunk> await_resume() { return std::move(result_); }

 private:
  friend class Stream;
  void Begin() override;
  void OnDeadline() override;

  Stream& stream_;
  absl::StatusOr<Chunk> result_;
};

// Awaits that both slices are written whole, in order. The bytes must live
// until then. Errors as for ReadOp; after an error an unknown part is written.
class [[nodiscard]] WriteOp final : public Op {
 public:
  WriteOp(Stream& stream, std::string_view first, std::string_view second,
          Time deadline);
  absl::Status await_resume() { return std::move(result_); }

  // What is still to be written, for the loop's implementation.
  std::array<std::string_view, 2>& slices() { return slices_; }
  bool all_written() const { return slices_[0].empty() && slices_[1].empty(); }
  // Its deadline has passed or the stream was closed: write no more.
  bool cancelled() const { return !cancel_reason_.ok(); }
  // Drops the first `count` octets of the slices.
  void Advance(size_t count);

 private:
  friend class Stream;
  void Begin() override;
  void OnDeadline() override;

  Stream& stream_;
  std::array<std::string_view, 2> slices_;
  absl::Status result_;
  absl::Status cancel_reason_;
};

class Stream {
 public:
  // No more is received while this much waits to be read. What the kernel
  // hands over at once may exceed it by one socket buffer.
  static constexpr size_t kReadHighWater = 32768;
  // Nor while so many chunks wait, however small: each holds a whole block.
  static constexpr size_t kReadHighWaterChunks = 16;
  // The memory of what waits, however it came: small pieces share a block, so
  // that of two neighbours at least one is half full.
  static constexpr size_t kMaxInboxMemory = 3 * kReadHighWater;

  virtual ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  ReadOp Read(Time deadline) { return ReadOp(*this, deadline); }
  WriteOp Write(std::string_view bytes, Time deadline) {
    return WriteOp(*this, bytes, {}, deadline);
  }
  WriteOp Write(std::string_view first, std::string_view second,
                Time deadline) {
    return WriteOp(*this, first, second, deadline);
  }

  // Whether a Read would come back at once: bytes, the end or an error wait.
  bool readable() const { return !inbox_.empty() || ended_; }

  // Takes what was received and not read, without waiting; an empty chunk when
  // there is nothing (or only the end). Not while a read is under way.
  Chunk TakeReceived();

  // Makes `chunk` the next one to be read. Not while a read is under way.
  void PutBack(Chunk chunk);

  // Drops what was received and not read; returns how many octets that were.
  // Not while a read is under way.
  size_t DiscardInput();

  // Starts to receive without a reader, so that readable() tells the truth
  // about an idle connection.
  void Watch();

  // Makes a read under way end with Aborted; nothing else changes.
  void InterruptRead() { CancelRead(absl::AbortedError("interrupted")); }

  // Tells the peer that we are done sending (FIN).
  virtual void ShutdownWrite() = 0;

  // Ends both directions. Operations under way complete with Cancelled, later
  // ones fail at once.
  void Close();
  bool closed() const { return closed_; }

  // The two ends of the connection: the socket's, or those of SetEnds.
  const Endpoint& peer() const {
    return HasEnds() ? facts_->ends->peer : peer_;
  }
  // The socket is asked once.
  const Endpoint& local() const;
  // A proxy in front of us has told whose connection it passes on.
  void SetEnds(Endpoint peer, Endpoint local);

  // What DNS calls the peer; null while that is not known.
  const PeerName* peer_name() const {
    return facts_ == nullptr ? nullptr : facts_->name.get();
  }
  void SetPeerName(std::shared_ptr<const PeerName> name);

  Loop& loop() const { return loop_; }

 protected:
  Stream(Loop& loop, Endpoint peer) : loop_(loop), peer_(std::move(peer)) {}

  // --- called by the implementation, on the loop's thread ---
  void Deliver(Chunk chunk);
  // The end of the input: OK for the peer's FIN.
  void DeliverEnd(absl::Status reason);
  void FinishWrite(absl::Status result);
  bool has_reader() const { return reader_ != nullptr; }
  WriteOp* writer() const { return writer_; }
  bool wants_input() const { return wants_input_; }

  // --- what a loop implements ---
  // Receive until StopReceiving; called again after it, or when bytes may
  // have been missed. Harmless when receiving already.
  virtual void StartReceiving() = 0;
  virtual void StopReceiving() = 0;
  // Writes all slices, then calls FinishWrite.
  virtual void StartWriting(WriteOp& op) = 0;
  // Makes the write under way end soon, by FinishWrite.
  virtual void CancelWriting() = 0;
  // Our own end, as the kernel has it.
  virtual Endpoint SocketLocal() const = 0;
  // Releases what only an open stream needs.
  virtual void DoClose() = 0;

 private:
  friend class ReadOp;
  friend class WriteOp;

  // What was found out about the peer beside what its socket says.
  struct Ends {
    Endpoint peer;
    Endpoint local;
  };
  struct Facts {
    std::unique_ptr<const Ends> ends;
    std::shared_ptr<const PeerName> name;
  };

  bool HasEnds() const { return facts_ != nullptr && facts_->ends != nullptr; }
  Facts& NeedFacts() const;
  void StartRead(ReadOp& op);
  void CancelRead(absl::Status reason);
  void CompleteRead(absl::StatusOr<Chunk> result);
  Chunk TakeFirst();
  void StartWrite(WriteOp& op);
  void SetWantsInput(bool wants);
  bool InboxIsFull() const;

  Loop& loop_;
  const Endpoint peer_;
  // Null for who is what the socket says, and whose own end nobody needed yet.
  mutable std::unique_ptr<Facts> facts_;
  std::vector<Chunk> inbox_;  // received, unread; holds no memory when empty
  absl::Status end_reason_;
  ReadOp* reader_ = nullptr;
  WriteOp* writer_ = nullptr;
  uint32_t inbox_octets_ = 0;  // kMaxInboxMemory at most
  bool ended_ = false;
  bool closed_ = false;
  bool wants_input_ = false;
};

// Awaits an outgoing connection. Errors are one line that names the endpoint.
class [[nodiscard]] ConnectOp final : public Op {
 public:
  ConnectOp(Loop& loop, const Endpoint& endpoint, Time deadline);
  absl::StatusOr<std::unique_ptr<Stream>> await_resume() {
    return std::move(result_);
  }

  const Endpoint& endpoint() const { return endpoint_; }
  // Makes it end soon with an error, if it has not ended yet.
  void Cancel() {
    if (!completed_) loop().CancelConnect(*this);
  }

  // Called by the loop, once.
  void Complete(absl::StatusOr<std::unique_ptr<Stream>> result);
  // What the loop needs to find the connect again when it is cancelled.
  void* handle() const { return handle_; }
  void set_handle(void* handle) { handle_ = handle; }

 private:
  void Begin() override;
  void OnDeadline() override;

  const Endpoint& endpoint_;
  absl::StatusOr<std::unique_ptr<Stream>> result_;
  void* handle_ = nullptr;
  bool timed_out_ = false;
  bool completed_ = false;
};

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_STREAM_H_
