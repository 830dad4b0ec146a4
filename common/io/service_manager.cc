#include "common/io/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <utility>

namespace tlspost::io {
namespace {

// Its queue may be full for a moment, and Ready must not be lost for that.
constexpr time_t kPatienceS = 1;

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

int64_t NumberOf(const std::string& text) {
  int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// On one line, which is all that a status may have.
std::string OneLine(std::string_view text) {
  std::string line(text);
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line;
}

int64_t MonotonicMicroseconds() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000 + now.tv_nsec / 1000;
}

}  // namespace

ServiceManager ServiceManager::FromEnvironment() {
  // With somebody else's number the watchdog is not for us.
  const std::string pid = Variable("WATCHDOG_PID");
  const bool is_for_us = pid.empty() || NumberOf(pid) == getpid();
  const int64_t watchdog = is_for_us ? NumberOf(Variable("WATCHDOG_USEC")) : 0;
  return ServiceManager(
      Variable("NOTIFY_SOCKET"),
      std::chrono::microseconds(std::max<int64_t>(watchdog, 0)));
}

ServiceManager::ServiceManager(std::string socket,
                               std::chrono::microseconds watchdog)
    : socket_(std::move(socket)), watchdog_(watchdog) {
  const bool is_known = socket_.starts_with('/') || socket_.starts_with('@');
  if (!is_known || socket_.size() >= sizeof(sockaddr_un::sun_path)) {
    socket_.clear();
  }
}

std::chrono::milliseconds ServiceManager::alive_interval() const {
  if (!listens()) return std::chrono::milliseconds(0);
  return std::chrono::duration_cast<std::chrono::milliseconds>(watchdog_ / 2);
}

void ServiceManager::Ready(std::string_view status) const {
  Send("READY=1\nSTATUS=" + OneLine(status));
}

void ServiceManager::Reloading() const {
  Send("RELOADING=1\nMONOTONIC_USEC=" +
       std::to_string(MonotonicMicroseconds()));
}

void ServiceManager::Stopping(std::string_view status) const {
  Send("STOPPING=1\nSTATUS=" + OneLine(status));
}

void ServiceManager::Status(std::string_view status) const {
  Send("STATUS=" + OneLine(status));
}

void ServiceManager::Alive() const { Send("WATCHDOG=1"); }

void ServiceManager::Send(std::string_view text) const {
  if (!listens()) return;
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  socket_.copy(address.sun_path, sizeof(address.sun_path) - 1);
  // An abstract name begins with a NUL and has no other end than its length.
  if (socket_.front() == '@') address.sun_path[0] = '\0';
  const auto length =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
  const int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return;
  const timeval patience = {.tv_sec = kPatienceS, .tv_usec = 0};
  setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  static_cast<void>(sendto(descriptor, text.data(), text.size(), MSG_NOSIGNAL,
                           reinterpret_cast<const sockaddr*>(&address),
                           length));
  close(descriptor);
}

}  // namespace tlspost::io
