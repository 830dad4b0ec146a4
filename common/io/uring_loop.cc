// The turns of the io_uring loop, connecting, and waking from other threads.

#include "common/io/uring_loop.h"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <utility>

#include "common/base/check.h"
#include "common/io/listen_socket.h"
#include "common/io/stream.h"
#include "common/io/uring.h"
#include "common/io/uring_refusal.h"
#include "common/io/uring_restrictions.h"
#include "common/io/uring_socket.h"

namespace tlspost::io {
namespace {

// Completions taken from the queue at once.
constexpr unsigned kBatch = 256;

}  // namespace

absl::StatusOr<std::unique_ptr<Loop>> CreateUringLoop(
    const LoopOptions& options) {
  auto loop = std::make_unique<UringLoop>(options);
  const absl::Status status = loop->Init(options);
  if (!status.ok()) return status;
  return loop;
}

// --- connecting -----------------------------------------------------------

// One connect under way. Deletes itself when the kernel has answered.
class UringLoop::Connecting final : public Completion {
 public:
  Connecting(UringLoop& loop, int fd, ConnectOp& op)
      : loop_(loop), fd_(fd), op_(op) {
    const socklen_t length = op.endpoint().ToSockaddr(address_);
    io_uring_prep_connect(loop.NextEntry(this), fd,
                          reinterpret_cast<sockaddr*>(&address_), length);
  }

 private:
  ~Connecting() = default;

  void OnCompletion(int result, uint32_t /*flags*/) override {
    if (result < 0) {
      close(fd_);
      op_.Complete(ConnectError(op_.endpoint(), -result));
    } else {
      op_.Complete(std::make_unique<UringStream>(loop_, fd_, op_.endpoint()));
    }
    delete this;
  }

  UringLoop& loop_;
  const int fd_;
  ConnectOp& op_;
  sockaddr_storage address_;
};

void UringLoop::StartConnect(ConnectOp& op) {
  const absl::StatusOr<int> fd = OpenConnectSocket(op.endpoint(), SOCK_CLOEXEC);
  if (!fd.ok()) return op.Complete(fd.status());
  op.set_handle(static_cast<Completion*>(new Connecting(*this, *fd, op)));
}

void UringLoop::CancelConnect(ConnectOp& op) {
  Cancel(static_cast<Completion*>(op.handle()));
}

absl::StatusOr<std::unique_ptr<Listener>> UringLoop::Listen(
    const Endpoint& endpoint, const ListenOptions& options) {
  const absl::StatusOr<int> fd = OpenListenSocket(endpoint, options);
  if (!fd.ok()) return fd.status();
  return std::make_unique<UringListener>(*this, *fd);
}

// --- waking from other threads --------------------------------------------

// A read of the eventfd that is always under way.
class UringLoop::Wakeup final : public Completion {
 public:
  explicit Wakeup(UringLoop& loop) : loop_(loop) {}

  void Arm() {
    armed_ = true;
    io_uring_prep_read(loop_.NextEntry(this), loop_.wakeup_fd(), &count_,
                       sizeof(count_), 0);
  }
  void Stop() {
    stopping_ = true;
    if (armed_) loop_.Cancel(this);
  }
  bool armed() const { return armed_; }

 private:
  void OnCompletion(int /*result*/, uint32_t /*flags*/) override {
    armed_ = false;
    // What was to use the work may be gone before the loop is.
    if (stopping_) return;
    loop_.RunRemoteWork();
    Arm();
  }

  UringLoop& loop_;
  uint64_t count_ = 0;
  bool armed_ = false;
  bool stopping_ = false;
};

// --- life -----------------------------------------------------------------

UringLoop::UringLoop(const LoopOptions& options) : KernelLoop(options) {}

absl::Status UringLoop::Init(const LoopOptions& options) {
  const absl::Status woken = OpenWakeup();
  if (!woken.ok()) return woken;
  io_uring_params params = {};
  // Disabled, so that it belongs to the thread that enables it.
  params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP |
                 IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED;
  params.cq_entries = options.submission_entries * 8;
  int error =
      io_uring_queue_init_params(options.submission_entries, &ring_, &params);
  if (error < 0) return UringRefusal(-error, {&options, 1});
  ring_open_ = true;
  // Whether it may be entered is better known now than when it has to be: a
  // ring that is disabled says so.
  error =
      io_uring_enter(static_cast<unsigned>(ring_.ring_fd), 0, 0, 0, nullptr);
  if (error != -EBADFD) return UringRefusal(-error, {&options, 1});
  error = buffers_.Register(ring_, options.receive_buffers);
  if (error != 0) return UringRefusal(error, {&options, 1});
  wakeup_ = std::make_unique<Wakeup>(*this);
  wakeup_->Arm();
  return absl::OkStatus();
}

UringLoop::~UringLoop() {
  if (!ring_open_) return;
  if (wakeup_ != nullptr) {
    // What the kernel still holds points into our memory: wait for it.
    wakeup_->Stop();
    while (wakeup_->armed() || open_sockets_ > 0) {
      Wait(std::nullopt);
      HandleEvents();
    }
  }
  buffers_.Unregister(ring_);
  io_uring_queue_exit(&ring_);
}

void UringLoop::TakeOver() {
  taken_over_ = true;
  // Saves a descriptor look-up per call; works as well without.
  io_uring_register_ring_fd(&ring_);
  const int error = RestrictAndEnable(ring_);
  TLSPOST_CHECK(error == 0);
}

// --- turns ----------------------------------------------------------------

void UringLoop::Wait(std::optional<Duration> most) {
  if (!taken_over_) TakeOver();
  if (!most.has_value()) {
    io_uring_submit_and_wait(&ring_, 1);
    return;
  }
  if (*most == Duration(0)) {
    io_uring_submit_and_get_events(&ring_);
    return;
  }
  __kernel_timespec timeout;
  timeout.tv_sec = *most / std::chrono::seconds(1);
  timeout.tv_nsec = (*most % std::chrono::seconds(1)).count();
  io_uring_cqe* first;
  io_uring_submit_and_wait_timeout(&ring_, &first, 1, &timeout, nullptr);
}

void UringLoop::HandOver() {
  if (io_uring_sq_ready(&ring_) > 0) io_uring_submit(&ring_);
}

void UringLoop::HandleEvents() {
  io_uring_cqe* entries[kBatch];
  while (true) {
    const unsigned count = io_uring_peek_batch_cqe(&ring_, entries, kBatch);
    if (count == 0) return;
    for (unsigned i = 0; i < count; ++i) {
      // Copied out first: handling may enter the kernel for room to submit.
      const int result = entries[i]->res;
      const uint32_t flags = entries[i]->flags;
      auto* completion =
          static_cast<Completion*>(io_uring_cqe_get_data(entries[i]));
      if (completion != nullptr) completion->OnCompletion(result, flags);
    }
    io_uring_cq_advance(&ring_, count);
  }
}

void UringLoop::AddStarved(UringSocket& socket) {
  if (!socket.linked()) starved_.PushBack(socket);
}

void UringLoop::EndTurn() {
  // A receive that is armed on an empty buffer ring fails at once.
  if (starved_.empty() || buffers_.exhausted()) return;
  IntrusiveList<UringSocket> again;
  again.TakeAll(starved_);
  while (!again.empty()) again.PopFront().Receive();
}

io_uring_sqe* UringLoop::NextEntry(Completion* completion) {
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  while (entry == nullptr) {
    if (!taken_over_) TakeOver();
    io_uring_submit(&ring_);
    entry = io_uring_get_sqe(&ring_);
  }
  // The prep functions leave the user data alone.
  io_uring_sqe_set_data(entry, completion);
  return entry;
}

void UringLoop::Cancel(Completion* completion) {
  io_uring_sqe* entry = NextEntry(nullptr);
  io_uring_prep_cancel(entry, completion, 0);
}

}  // namespace tlspost::io
