// KernelLoop: what the loops over the kernel's sockets have in common, which
// is all but how the kernel is asked. Private to common/io.
//
// Clock and randomness, the order of a turn, work from other threads, sockets
// for outgoing connections.

#ifndef TLSPOST_COMMON_IO_KERNEL_LOOP_H_
#define TLSPOST_COMMON_IO_KERNEL_LOOP_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/io/endpoint.h"
#include "common/io/engine.h"
#include "common/io/loop.h"

namespace tlspost::io {

class KernelLoop : public Loop {
 public:
  ~KernelLoop() override;

  void Run() final;
  WallTime WallNow() const final { return std::chrono::system_clock::now(); }
  uint64_t Random() final;
  void PostRemote(std::function<void()> work) final;

 protected:
  explicit KernelLoop(const LoopOptions& options);

  // Opens what other threads wake the loop by. To be called once.
  absl::Status OpenWakeup();

  // --- one turn, in this order ---
  // Enters the kernel: hands over what is to be done, and waits for something
  // to happen, at most `most` (nothing: for as long as it takes).
  virtual void Wait(std::optional<Duration> most) = 0;
  // Deals with what has happened. Runs no coroutine: ops complete through the
  // ready list.
  virtual void HandleEvents() = 0;
  // Hands over what is to be done and does not wait: behind the deadlines and
  // the ready list when there is deferred work. What was answered in this turn
  // would otherwise leave only after it.
  virtual void HandOver() {}
  // Last.
  virtual void EndTurn() {}

  // Whether there is something for HandleEvents that the kernel does not know.
  virtual bool HasWork() const { return false; }

  // An eventfd, readable when other threads have posted work; whoever reads it
  // calls RunRemoteWork next.
  int wakeup_fd() const { return wakeup_fd_; }
  void RunRemoteWork();

  // A socket with which to connect to `endpoint`, bound to the next address
  // that connections come from; `flags` are socket(2)'s. The caller owns it.
  absl::StatusOr<int> OpenConnectSocket(const Endpoint& endpoint, int flags);

 private:
  std::optional<Duration> TimeToWait();
  void RunReady();
  int BindToSource(int fd);  // 0 or errno

  uint64_t random_state_;
  std::vector<Endpoint> connect_from_;
  size_t next_source_ = 0;

  int wakeup_fd_ = -1;
  std::mutex remote_mutex_;
  std::vector<std::function<void()>> remote_work_;  // guarded by remote_mutex_
};

// "connect to ENDPOINT: REASON".
absl::Status ConnectError(const Endpoint& endpoint, int error);

// The reason of a stream that has ended by an error (errno).
absl::Status PeerError(int error);

// The endpoint that getsockname or getpeername tells of `fd`.
Endpoint LocalEndpoint(int fd);
Endpoint PeerEndpoint(int fd);

// Replies are small and written whole: waiting for more to send only delays.
void DisableNagle(int fd);

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_KERNEL_LOOP_H_
