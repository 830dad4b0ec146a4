// The turns of the epoll loop, and connecting.

#include "common/io/epoll_loop.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/io/epoll.h"
#include "common/io/epoll_socket.h"
#include "common/io/listen_socket.h"
#include "common/io/stream.h"

namespace tlspost::io {
namespace {

// Until a Unix socket whose queue is full is tried again: no event tells.
constexpr Duration kUnixConnectPause = std::chrono::milliseconds(20);

// For epoll_wait: in whole milliseconds, rounded up so that a deadline has
// passed when it returns.
int ToMilliseconds(std::optional<Duration> wait) {
  if (!wait.has_value()) return -1;
  const auto whole = std::chrono::ceil<std::chrono::milliseconds>(*wait);
  return static_cast<int>(
      std::min<int64_t>(whole.count(), std::numeric_limits<int>::max()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Loop>> CreateEpollLoop(
    const LoopOptions& options) {
  auto loop = std::make_unique<EpollLoop>(options);
  const absl::Status status = loop->Init();
  if (!status.ok()) return status;
  return loop;
}

// --- connecting -----------------------------------------------------------

// One connect under way. Deletes itself when it has ended.
class EpollLoop::Connecting final : public EpollUser, private Timer {
 public:
  Connecting(EpollLoop& loop, int fd, ConnectOp& op)
      : loop_(loop),
        op_(op),
        socket_(std::make_unique<EpollSocket>(loop, fd, *this)) {}

  void Start() {
    sockaddr_storage address;
    const socklen_t length = op_.endpoint().ToSockaddr(address);
    if (connect(socket_->fd(), reinterpret_cast<sockaddr*>(&address), length) ==
        0) {
      const int error = socket_->Register(EpollSocket::kInput);
      return error == 0 ? Succeed() : Fail(error);
    }
    if (errno == EAGAIN && op_.endpoint().is_unix()) {
      return loop_.Arm(*this, loop_.Now() + kUnixConnectPause);
    }
    if (errno != EINPROGRESS && errno != EINTR) return Fail(errno);
    const int error =
        socket_->Register(EpollSocket::kInput | EpollSocket::kOutput);
    if (error != 0) Fail(error);
  }

  void Fail(int error) {
    op_.Complete(ConnectError(op_.endpoint(), error));
    delete this;
  }

 private:
  ~Connecting() override = default;

  void Serve() override {
    int error = 0;
    socklen_t length = sizeof(error);
    getsockopt(socket_->fd(), SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) return Fail(error);
    if (socket_->output_ready()) Succeed();
  }

  void OnDeadline() override { Start(); }

  void Succeed() {
    op_.Complete(std::make_unique<EpollStream>(loop_, std::move(socket_),
                                               op_.endpoint()));
    delete this;
  }

  EpollLoop& loop_;
  ConnectOp& op_;
  std::unique_ptr<EpollSocket> socket_;
};

void EpollLoop::StartConnect(ConnectOp& op) {
  const absl::StatusOr<int> fd =
      OpenConnectSocket(op.endpoint(), SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (!fd.ok()) return op.Complete(fd.status());
  auto* connecting = new Connecting(*this, *fd, op);
  op.set_handle(connecting);
  connecting->Start();
}

void EpollLoop::CancelConnect(ConnectOp& op) {
  static_cast<Connecting*>(op.handle())->Fail(ECANCELED);
}

absl::StatusOr<std::unique_ptr<Listener>> EpollLoop::Listen(
    const Endpoint& endpoint, const ListenOptions& options) {
  const absl::StatusOr<int> fd = OpenListenSocket(endpoint, options);
  if (!fd.ok()) return fd.status();
  auto listener = std::make_unique<EpollListener>(*this, *fd);
  const int error = listener->Register();
  if (error == 0) return listener;
  return absl::FailedPreconditionError(absl::StrFormat(
      "cannot listen on %s: epoll: %s", endpoint.ToString(), strerror(error)));
}

// --- life -----------------------------------------------------------------

absl::Status EpollLoop::Init() {
  const absl::Status woken = OpenWakeup();
  if (!woken.ok()) return woken;
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  // By level, unlike the sockets: it is read whenever it is heard of.
  epoll_event wakeup = {};
  wakeup.events = EPOLLIN;
  wakeup.data.ptr = nullptr;
  if (epoll_fd_ < 0 ||
      epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, wakeup_fd(), &wakeup) != 0) {
    return absl::FailedPreconditionError(
        absl::StrFormat("epoll cannot be used: %s", strerror(errno)));
  }
  return absl::OkStatus();
}

EpollLoop::~EpollLoop() {
  if (epoll_fd_ >= 0) close(epoll_fd_);
}

// --- turns ----------------------------------------------------------------

void EpollLoop::Wait(std::optional<Duration> most) {
  const int count =
      epoll_wait(epoll_fd_, events_.data(), static_cast<int>(events_.size()),
                 ToMilliseconds(most));
  // Interrupted by a signal: nothing has happened.
  event_count_ = count < 0 ? 0 : static_cast<size_t>(count);
}

void EpollLoop::HandleEvents() {
  bool is_woken = false;
  for (size_t i = 0; i < event_count_; ++i) {
    auto* socket = static_cast<EpollSocket*>(events_[i].data.ptr);
    if (socket != nullptr) {
      socket->Note(events_[i].events);
    } else {
      is_woken = true;
    }
  }
  event_count_ = 0;
  ServeLine();
  // Behind the sockets, since such work may destroy some.
  if (is_woken) {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t got =
        read(wakeup_fd(), &count, sizeof(count));
    RunRemoteWork();
  }
}

void EpollLoop::PutInLine(EpollSocket& socket) {
  if (!socket.linked()) line_.PushBack(socket);
}

void EpollLoop::ServeLine() {
  IntrusiveList<EpollSocket> turn;
  turn.TakeAll(line_);
  for (int served = 0; served < kMaxServedPerTurn && !turn.empty(); ++served) {
    turn.PopFront().Serve();
  }
  if (turn.empty()) return;
  // Those who want more come behind those who have had nothing yet.
  turn.TakeAll(line_);
  line_.TakeAll(turn);
}

}  // namespace tlspost::io
