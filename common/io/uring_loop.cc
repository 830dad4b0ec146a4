// The turns of the io_uring loop, connecting, and waking from other threads.

#include "common/io/uring_loop.h"

#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <string_view>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/io/listen_socket.h"
#include "common/io/machine.h"
#include "common/io/stream.h"
#include "common/io/uring_socket.h"

namespace tlspost::io {
namespace {

// What one turn runs at most before it looks at the kernel again.
constexpr int kMaxRunsPerTurn = 4096;
// Completions taken from the queue at once.
constexpr unsigned kBatch = 256;

// Kernel 6.6 and newer: 0 lets everybody use io_uring, 2 nobody.
constexpr std::string_view kDisabled = "kernel.io_uring_disabled";

Time MonotonicNow() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return Time(std::chrono::seconds(now.tv_sec) +
              std::chrono::nanoseconds(now.tv_nsec));
}

absl::Status SetupError(int error) {
  std::string remedy;
  switch (error) {
    case EPERM:
      remedy = ReadSysctl(kDisabled).value_or(0) != 0
                   ? "the kernel forbids it; allow it with: sysctl -w "
                     "kernel.io_uring_disabled=0"
                   : "a seccomp profile forbids it; allow io_uring_setup, "
                     "io_uring_enter and io_uring_register";
      break;
    case ENOSYS:
      remedy =
          "the kernel has no io_uring or a seccomp profile hides it; allow "
          "io_uring_setup, io_uring_enter and io_uring_register";
      break;
    case ENOMEM:
      remedy =
          "the memlock limit is too small; raise it (ulimit -l, "
          "LimitMEMLOCK=infinity, --ulimit memlock=-1)";
      break;
    case EINVAL: {
      utsname name;
      uname(&name);
      remedy = absl::StrFormat(
          "kernel 6.1 or newer is needed (DEFER_TASKRUN); this is %s",
          name.release);
      break;
    }
    default:
      remedy = "see io_uring_setup(2)";
  }
  return absl::FailedPreconditionError(absl::StrFormat(
      "io_uring cannot be used: %s: %s", strerror(error), remedy));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Loop>> CreateUringLoop(
    const UringOptions& options) {
  auto loop = std::make_unique<UringLoop>();
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
      op_.Complete(absl::UnavailableError(absl::StrFormat(
          "connect to %s: %s", op_.endpoint().ToString(), strerror(-result))));
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
  const int fd = socket(op.endpoint().family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    op.Complete(absl::ResourceExhaustedError(
        absl::StrFormat("connect to %s: socket: %s", op.endpoint().ToString(),
                        strerror(errno))));
    return;
  }
  const int error = op.endpoint().is_unix() ? 0 : BindToSource(fd);
  if (error != 0) {
    close(fd);
    op.Complete(absl::UnavailableError(absl::StrFormat(
        "connect to %s: bind: %s", op.endpoint().ToString(), strerror(error))));
    return;
  }
  op.set_handle(static_cast<Completion*>(new Connecting(*this, fd, op)));
}

int UringLoop::BindToSource(int fd) {
  if (connect_from_.empty()) return 0;
  const Endpoint& source = connect_from_[next_source_++ % connect_from_.size()];
  // The port is chosen at the connect, so that one serves many destinations.
  const int on = 1;
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
  sockaddr_storage address;
  const socklen_t length = source.ToSockaddr(address);
  const int result = bind(fd, reinterpret_cast<sockaddr*>(&address), length);
  return result == 0 ? 0 : errno;
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

// A read of an eventfd that is always under way.
class UringLoop::Wakeup final : public Completion {
 public:
  explicit Wakeup(UringLoop& loop) : loop_(loop), fd_(eventfd(0, EFD_CLOEXEC)) {
    TLSPOST_CHECK(fd_ >= 0);
  }
  ~Wakeup() { close(fd_); }

  void Arm() {
    armed_ = true;
    io_uring_prep_read(loop_.NextEntry(this), fd_, &count_, sizeof(count_), 0);
  }
  void Stop() {
    stopping_ = true;
    if (armed_) loop_.Cancel(this);
  }
  bool armed() const { return armed_; }

  void Signal() {
    const uint64_t one = 1;
    // Fails only when the counter is full, and then the loop wakes anyway.
    [[maybe_unused]] const ssize_t written = write(fd_, &one, sizeof(one));
  }

 private:
  void OnCompletion(int /*result*/, uint32_t /*flags*/) override {
    armed_ = false;
    // What was to use the work may be gone before the loop is.
    if (stopping_) return;
    loop_.RunRemoteWork();
    Arm();
  }

  UringLoop& loop_;
  const int fd_;
  uint64_t count_ = 0;
  bool armed_ = false;
  bool stopping_ = false;
};

void UringLoop::PostRemote(std::function<void()> work) {
  {
    const std::lock_guard<std::mutex> lock(remote_mutex_);
    remote_work_.push_back(std::move(work));
  }
  wakeup_->Signal();
}

void UringLoop::RunRemoteWork() {
  std::vector<std::function<void()>> work;
  {
    const std::lock_guard<std::mutex> lock(remote_mutex_);
    work.swap(remote_work_);
  }
  for (const std::function<void()>& one : work) one();
}

// --- life -----------------------------------------------------------------

UringLoop::UringLoop() : Loop(MonotonicNow()) {
  if (getrandom(&random_state_, sizeof(random_state_), 0) !=
      sizeof(random_state_)) {
    random_state_ = static_cast<uint64_t>(Now().time_since_epoch().count());
  }
}

absl::Status UringLoop::Init(const UringOptions& options) {
  connect_from_.assign(options.connect_from.begin(),
                       options.connect_from.end());
  io_uring_params params = {};
  params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP |
                 IORING_SETUP_CQSIZE;
  params.cq_entries = options.submission_entries * 8;
  const int error =
      io_uring_queue_init_params(options.submission_entries, &ring_, &params);
  if (error < 0) return SetupError(-error);
  ring_open_ = true;
  // Saves a descriptor look-up per call; works as well without.
  io_uring_register_ring_fd(&ring_);
  const absl::Status registered =
      buffers_.Register(ring_, options.receive_buffers);
  if (!registered.ok()) return registered;
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
      WaitForCompletions();
      HandleCompletions();
    }
  }
  buffers_.Unregister(ring_);
  io_uring_queue_exit(&ring_);
}

uint64_t UringLoop::Random() {
  // SplitMix64: for jitter and spreading, never for secrets.
  random_state_ += 0x9e3779b97f4a7c15u;
  uint64_t z = random_state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

void UringLoop::SetTimeFromClock() { SetNow(MonotonicNow()); }

// --- turns ----------------------------------------------------------------

void UringLoop::Run() {
  while (!stopped()) {
    WaitForCompletions();
    SetTimeFromClock();
    HandleCompletions();
    wheel().Advance(Now());
    RunReady();
    RunDeferred(MonotonicNow);
    FeedStarved();
  }
}

void UringLoop::WaitForCompletions() {
  if (has_work()) {
    io_uring_submit_and_get_events(&ring_);
    return;
  }
  const Time next = wheel().NextTick();
  if (next == kNever) {
    io_uring_submit_and_wait(&ring_, 1);
    return;
  }
  const Duration wait = std::max(next - MonotonicNow(), Duration(0));
  __kernel_timespec timeout;
  timeout.tv_sec = wait / std::chrono::seconds(1);
  timeout.tv_nsec = (wait % std::chrono::seconds(1)).count();
  io_uring_cqe* first;
  io_uring_submit_and_wait_timeout(&ring_, &first, 1, &timeout, nullptr);
}

void UringLoop::HandleCompletions() {
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

void UringLoop::RunReady() {
  for (int runs = 0; runs < kMaxRunsPerTurn && !ready().empty(); ++runs) {
    ready().PopFront().Run();
  }
}

void UringLoop::AddStarved(UringSocket& socket) {
  if (!socket.linked()) starved_.PushBack(socket);
}

void UringLoop::FeedStarved() {
  // A receive that is armed on an empty buffer ring fails at once.
  if (starved_.empty() || buffers_.exhausted()) return;
  IntrusiveList<UringSocket> again;
  again.TakeAll(starved_);
  while (!again.empty()) again.PopFront().Receive();
}

io_uring_sqe* UringLoop::NextEntry(Completion* completion) {
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  while (entry == nullptr) {
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
