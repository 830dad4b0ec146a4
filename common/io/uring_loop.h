// UringLoop: turns over one io_uring. Private to common/io.
//
// Everything a worker submits in one turn enters the kernel with one call,
// which also waits for the next completion or the next deadline.

#ifndef TLSPOST_COMMON_IO_URING_LOOP_H_
#define TLSPOST_COMMON_IO_URING_LOOP_H_

#include <liburing.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "common/io/loop.h"
#include "common/io/uring.h"
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

class UringLoop final : public Loop {
 public:
  UringLoop();
  ~UringLoop() override;

  absl::Status Init(const UringOptions& options);

  void Run() override;
  WallTime WallNow() const override { return std::chrono::system_clock::now(); }
  uint64_t Random() override;
  void PostRemote(std::function<void()> work) override;
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

  void WaitForCompletions();
  void HandleCompletions();
  void RunReady();
  void FeedStarved();
  void RunRemoteWork();
  void SetTimeFromClock();
  // Binds `fd` to the next address that connections come from; 0 or errno.
  int BindToSource(int fd);

  io_uring ring_ = {};
  bool ring_open_ = false;
  UringBuffers buffers_;
  IntrusiveList<UringSocket> starved_;
  int64_t open_sockets_ = 0;
  uint64_t random_state_;
  std::vector<Endpoint> connect_from_;
  size_t next_source_ = 0;

  std::unique_ptr<Wakeup> wakeup_;
  std::mutex remote_mutex_;
  std::vector<std::function<void()>> remote_work_;  // guarded by remote_mutex_
};

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_URING_LOOP_H_
