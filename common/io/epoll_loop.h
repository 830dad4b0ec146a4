// EpollLoop: one epoll set under the turns of a KernelLoop. Private to
// common/io.
//
// Edge-triggered: a descriptor is registered once, when it is new, and what the
// kernel has said of it is remembered until a call has come back empty. So an
// idle connection costs nothing, one that nobody reads wakes nobody again and
// again (a level that cannot be masked, EPOLLHUP or EPOLLERR, would), and
// back-pressure is a flag of ours where levels would take an epoll_ctl each
// way. The price is that no edge may be forgotten: EpollSocket alone keeps
// them.
//
// An event only marks its socket and puts it into line. Those in line are then
// served in turn, each a bounded piece, so that nothing is destroyed while
// events are dealt with and no event can meet a successor of its descriptor.

#ifndef TLSPOST_COMMON_IO_EPOLL_LOOP_H_
#define TLSPOST_COMMON_IO_EPOLL_LOOP_H_

#include <sys/epoll.h>

#include <array>
#include <cstddef>
#include <memory>
#include <optional>

#include "common/base/intrusive_list.h"
#include "common/io/kernel_loop.h"

namespace tlspost::io {

class EpollSocket;

class EpollLoop final : public KernelLoop {
 public:
  explicit EpollLoop(const LoopOptions& options) : KernelLoop(options) {}
  ~EpollLoop() override;

  absl::Status Init();

  absl::StatusOr<std::unique_ptr<Listener>> Listen(
      const Endpoint& endpoint, const ListenOptions& options) override;
  void StartConnect(ConnectOp& op) override;
  void CancelConnect(ConnectOp& op) override;

  // --- for the sockets of this loop ---
  int epoll_fd() const { return epoll_fd_; }
  // `socket` is served in this turn or the next one.
  void PutInLine(EpollSocket& socket);

 private:
  class Connecting;

  // Events taken at once; the kernel gives the others their turn next.
  static constexpr size_t kBatch = 256;
  // Sockets served in a turn; the others come first in the next one.
  static constexpr int kMaxServedPerTurn = 256;

  void Wait(std::optional<Duration> most) override;
  void HandleEvents() override;
  bool HasWork() const override { return !line_.empty(); }
  void ServeLine();

  int epoll_fd_ = -1;
  std::array<epoll_event, kBatch> events_;
  size_t event_count_ = 0;
  IntrusiveList<EpollSocket> line_;
};

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_EPOLL_LOOP_H_
