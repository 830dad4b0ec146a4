// UringLoop: one io_uring under the turns of a KernelLoop. Private to
// common/io.
//
// Everything a worker submits in one turn enters the kernel with one call,
// which also waits for the next completion or the next deadline.

#ifndef TLSPOST_COMMON_IO_URING_LOOP_H_
#define TLSPOST_COMMON_IO_URING_LOOP_H_

#include <liburing.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "common/io/kernel_loop.h"
#include "common/io/uring_buffers.h"

namespace tlspost::io {

class UringSocket;

// What a completion-queue entry is for. The address of one is the entry's
// user_data, so it must live until its last entry has come (the one without
// IORING_CQE_F_MORE).
class Completion {
 public:
  virtual void OnCompletion(int result, uint32_t flags) = 0;

 protected:
  ~Completion() = default;
};

class UringLoop final : public KernelLoop {
 public:
  explicit UringLoop(const LoopOptions& options);
  ~UringLoop() override;

  absl::Status Init(const LoopOptions& options);

  absl::StatusOr<std::unique_ptr<Listener>> Listen(
      const Endpoint& endpoint, const ListenOptions& options) override;
  void StartConnect(ConnectOp& op) override;
  void CancelConnect(ConnectOp& op) override;

  // --- for the streams and listeners of this loop ---
  // A cleared submission entry with `completion` as its user data (nullptr:
  // the result is of no interest). Enters the kernel when the queue is full.
  io_uring_sqe* NextEntry(Completion* completion);
  // Cancels what was submitted for `completion`.
  void Cancel(Completion* completion);
  UringBuffers& buffers() { return buffers_; }
  // Receives again for `socket` once buffers have come back.
  void AddStarved(UringSocket& socket);
  // Sockets whose descriptor is still open.
  void CountSocket(int change) { open_sockets_ += change; }

 private:
  class Connecting;
  class Wakeup;

  void Wait(std::optional<Duration> most) override;
  void HandleEvents() override;
  void HandOver() override;
  // Receives again for those who had no buffer.
  void EndTurn() override;
  // Makes the ring the calling thread's, for good.
  void TakeOver();

  io_uring ring_ = {};
  bool ring_open_ = false;
  bool taken_over_ = false;
  UringBuffers buffers_;
  IntrusiveList<UringSocket> starved_;
  int64_t open_sockets_ = 0;
  std::unique_ptr<Wakeup> wakeup_;
};

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_URING_LOOP_H_
