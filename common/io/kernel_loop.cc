// Turns, the clock, waking from other threads, sockets to connect with.

#include "common/io/kernel_loop.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"

namespace tlspost::io {
namespace {

// What one turn runs at most before it looks at the kernel again.
constexpr int kMaxRunsPerTurn = 4096;

Time MonotonicNow() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return Time(std::chrono::seconds(now.tv_sec) +
              std::chrono::nanoseconds(now.tv_nsec));
}

Endpoint EndpointBy(int (*ask)(int, sockaddr*, socklen_t*), int fd) {
  sockaddr_storage storage = {};
  socklen_t length = sizeof(storage);
  if (ask(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) {
    return Endpoint();
  }
  return Endpoint::FromSockaddr(reinterpret_cast<sockaddr*>(&storage), length);
}

}  // namespace

KernelLoop::KernelLoop(const LoopOptions& options)
    : Loop(MonotonicNow()),
      connect_from_(options.connect_from.begin(), options.connect_from.end()) {
  if (getrandom(&random_state_, sizeof(random_state_), 0) !=
      sizeof(random_state_)) {
    random_state_ = static_cast<uint64_t>(Now().time_since_epoch().count());
  }
}

KernelLoop::~KernelLoop() {
  if (wakeup_fd_ >= 0) close(wakeup_fd_);
}

uint64_t KernelLoop::Random() {
  // SplitMix64: for jitter and spreading, never for secrets.
  random_state_ += 0x9e3779b97f4a7c15u;
  uint64_t z = random_state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// --- turns ----------------------------------------------------------------

void KernelLoop::Run() {
  while (!stopped()) {
    Wait(TimeToWait());
    SetNow(MonotonicNow());
    HandleEvents();
    wheel().Advance(Now());
    RunReady();
    if (has_deferred()) HandOver();
    RunDeferred(MonotonicNow);
    EndTurn();
  }
}

std::optional<Duration> KernelLoop::TimeToWait() {
  if (has_work() || HasWork()) return Duration(0);
  const Time next = wheel().NextTick();
  if (next == kNever) return std::nullopt;
  return std::max(next - MonotonicNow(), Duration(0));
}

void KernelLoop::RunReady() {
  for (int runs = 0; runs < kMaxRunsPerTurn && !ready().empty(); ++runs) {
    ready().PopFront().Run();
  }
}

// --- waking from other threads --------------------------------------------

absl::Status KernelLoop::OpenWakeup() {
  wakeup_fd_ = eventfd(0, EFD_CLOEXEC);
  if (wakeup_fd_ >= 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrFormat("eventfd: %s", strerror(errno)));
}

void KernelLoop::PostRemote(std::function<void()> work) {
  {
    const std::lock_guard<std::mutex> lock(remote_mutex_);
    remote_work_.push_back(std::move(work));
  }
  const uint64_t one = 1;
  // Fails only when the counter is full, and then the loop wakes anyway.
  [[maybe_unused]] const ssize_t written = write(wakeup_fd_, &one, sizeof(one));
}

void KernelLoop::RunRemoteWork() {
  std::vector<std::function<void()>> work;
  {
    const std::lock_guard<std::mutex> lock(remote_mutex_);
    work.swap(remote_work_);
  }
  for (const std::function<void()>& one : work) one();
}

// --- sockets --------------------------------------------------------------

absl::StatusOr<int> KernelLoop::OpenConnectSocket(const Endpoint& endpoint,
                                                  int flags) {
  const int fd = socket(endpoint.family(), SOCK_STREAM | flags, 0);
  if (fd < 0) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "connect to %s: socket: %s", endpoint.ToString(), strerror(errno)));
  }
  const int error = endpoint.is_unix() ? 0 : BindToSource(fd);
  if (error == 0) return fd;
  close(fd);
  return absl::UnavailableError(absl::StrFormat(
      "connect to %s: bind: %s", endpoint.ToString(), strerror(error)));
}

int KernelLoop::BindToSource(int fd) {
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

absl::Status ConnectError(const Endpoint& endpoint, int error) {
  return absl::UnavailableError(absl::StrFormat(
      "connect to %s: %s", endpoint.ToString(), strerror(error)));
}

absl::Status PeerError(int error) {
  return absl::UnavailableError(strerror(error));
}

Endpoint LocalEndpoint(int fd) { return EndpointBy(getsockname, fd); }
Endpoint PeerEndpoint(int fd) { return EndpointBy(getpeername, fd); }

void DisableNagle(int fd) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

}  // namespace tlspost::io
