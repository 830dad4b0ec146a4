// socket, bind, listen, and what their errors mean to an administrator.

#include "common/io/listen_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"

namespace tlspost::io {
namespace {

absl::Status BindError(const Endpoint& endpoint, int error) {
  std::string remedy;
  switch (error) {
    case EADDRINUSE:
      remedy =
          "another process has it; find it with ss -ltnp and stop it, or "
          "choose another port";
      break;
    case EACCES:
      remedy =
          "ports below 1024 need root or CAP_NET_BIND_SERVICE; or choose "
          "another port";
      break;
    case EADDRNOTAVAIL:
      remedy = "no interface of this machine has this address";
      break;
    default:
      remedy = "see bind(2)";
  }
  return absl::Status(
      error == EADDRINUSE ? absl::StatusCode::kAlreadyExists
                          : absl::StatusCode::kFailedPrecondition,
      absl::StrFormat("cannot listen on %s: %s: %s", endpoint.ToString(),
                      strerror(error), remedy));
}

absl::StatusOr<int> BindSocket(const Endpoint& endpoint, bool reuse_port) {
  const int fd = socket(endpoint.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return BindError(endpoint, errno);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (reuse_port) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
  sockaddr_storage address;
  const socklen_t length = endpoint.ToSockaddr(address);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), length) != 0) {
    const int error = errno;
    close(fd);
    return BindError(endpoint, error);
  }
  return fd;
}

}  // namespace

absl::StatusOr<int> OpenListenSocket(const Endpoint& endpoint,
                                     const ListenOptions& options) {
  if (options.socket >= 0) return options.socket;
  const absl::StatusOr<int> fd = BindSocket(endpoint, options.reuse_port);
  if (!fd.ok()) return fd;
  if (listen(*fd, options.backlog) != 0) {
    const int error = errno;
    close(*fd);
    return BindError(endpoint, error);
  }
  return fd;
}

Endpoint BoundEndpoint(int socket) {
  sockaddr_storage address = {};
  socklen_t length = sizeof(address);
  auto* any = reinterpret_cast<sockaddr*>(&address);
  if (getsockname(socket, any, &length) != 0) return Endpoint();
  return Endpoint::FromSockaddr(any, length);
}

bool IsTcpListener(int socket) {
  const int family = BoundEndpoint(socket).family();
  if (family != AF_INET && family != AF_INET6) return false;
  int type = 0;
  socklen_t length = sizeof(type);
  getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &length);
  int listens = 0;
  length = sizeof(listens);
  getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length);
  return type == SOCK_STREAM && listens != 0;
}

int DuplicateSocket(int socket) {
  return fcntl(socket, F_DUPFD_CLOEXEC, /*lowest=*/0);
}

std::vector<Descriptor> InheritedSockets() {
  constexpr int kFirst = 3;  // sd_listen_fds(3)
  constexpr int kMost = 4096;
  const char* pid = getenv("LISTEN_PID");
  const char* count = getenv("LISTEN_FDS");
  int wanted_pid = 0;
  int sockets = 0;
  const bool are_ours = pid != nullptr && count != nullptr &&
                        absl::SimpleAtoi(pid, &wanted_pid) &&
                        absl::SimpleAtoi(count, &sockets) &&
                        wanted_pid == getpid() && sockets <= kMost;
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) {
    unsetenv(name);
  }
  std::vector<Descriptor> inherited;
  for (int i = 0; are_ours && i < sockets; ++i) {
    inherited.emplace_back(kFirst + i);
  }
  return inherited;
}

void AdoptSocket(int socket) { fcntl(socket, F_SETFD, FD_CLOEXEC); }

absl::Status CheckNotInUse(const Endpoint& endpoint) {
  if (endpoint.port() == 0) return absl::OkStatus();  // the kernel chooses
  const absl::StatusOr<int> fd = BindSocket(endpoint, /*reuse_port=*/false);
  if (!fd.ok()) return fd.status();
  close(*fd);
  return absl::OkStatus();
}

}  // namespace tlspost::io
