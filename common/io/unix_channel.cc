// Sockets of the family AF_UNIX.

#include "common/io/unix_channel.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/io/endpoint.h"

namespace tlspost::io {
namespace {

// Who can read the path may ask for anything.
constexpr mode_t kOwnerOnly = 0600;
constexpr int kWaitingChannels = 16;

absl::Status UnixError(std::string_view what, std::string_view path,
                       int error) {
  return absl::FailedPreconditionError(
      absl::StrFormat("%s %s: %s", what, path, strerror(error)));
}

Descriptor MakeSocket() {
  return Descriptor(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

int ConnectTo(int socket, const std::string& path) {
  sockaddr_storage address;
  const socklen_t length = Endpoint::Unix(path).ToSockaddr(address);
  return connect(socket, reinterpret_cast<sockaddr*>(&address), length);
}

bool SomebodyListensAt(const std::string& path) {
  const Descriptor probe = MakeSocket();
  return probe && ConnectTo(probe.get(), path) == 0;
}

// Where a listener is made, and where one that was displaced waits.
std::string Beside(const std::string& path) { return path + ".new"; }

bool Exchange(const std::string& one, const std::string& other) {
  return renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(),
                   RENAME_EXCHANGE) == 0;
}

// Room for the descriptors of one message, aligned as the kernel wants it.
union Ancillary {
  cmsghdr header;
  std::array<char, CMSG_SPACE(UnixChannel::kDescriptorsAtOnce * sizeof(int))>
      bytes;
};

}  // namespace

// --- UnixChannel ----------------------------------------------------------

absl::StatusOr<UnixChannel> UnixChannel::Connect(const std::string& path) {
  Descriptor socket = MakeSocket();
  if (!socket) return UnixError("cannot connect to", path, errno);
  if (ConnectTo(socket.get(), path) == 0) {
    return UnixChannel(std::move(socket));
  }
  if (errno == ENOENT || errno == ECONNREFUSED) {
    return absl::NotFoundError(absl::StrFormat("nobody listens at %s", path));
  }
  return UnixError("cannot connect to", path, errno);
}

absl::Status UnixChannel::AwaitInput(std::chrono::milliseconds timeout) {
  pollfd wait = {.fd = socket_.get(), .events = POLLIN, .revents = 0};
  int ready = 0;
  do {
    ready = poll(&wait, 1, static_cast<int>(timeout.count()));
  } while (ready < 0 && errno == EINTR);
  if (ready > 0) return absl::OkStatus();
  return absl::DeadlineExceededError("no answer in time");
}

absl::StatusOr<std::string> UnixChannel::ReadLine(
    std::chrono::milliseconds timeout) {
  while (true) {
    const size_t end = read_.find('\n');
    if (end != std::string::npos) {
      std::string line = read_.substr(0, end);
      read_.erase(0, end + 1);
      return line;
    }
    if (read_.size() > kMaxLine) {
      return absl::InvalidArgumentError("the line has no end");
    }
    const absl::Status ready = AwaitInput(timeout);
    if (!ready.ok()) return ready;
    std::array<char, 1024> bytes;
    const ssize_t got = recv(socket_.get(), bytes.data(), bytes.size(), 0);
    if (got <= 0) return absl::UnavailableError("the other side has closed");
    read_.append(bytes.data(), static_cast<size_t>(got));
  }
}

absl::Status UnixChannel::Write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent =
        send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return absl::UnavailableError("the other side has closed");
    text.remove_prefix(static_cast<size_t>(sent));
  }
  return absl::OkStatus();
}

absl::Status UnixChannel::SendDescriptors(std::span<const Descriptor> sockets) {
  while (!sockets.empty()) {
    const auto part =
        sockets.first(std::min(sockets.size(), kDescriptorsAtOnce));
    sockets = sockets.subspan(part.size());
    Ancillary ancillary = {};
    char filler = '.';  // descriptors travel with at least one octet
    iovec octet = {.iov_base = &filler, .iov_len = 1};
    msghdr message = {};
    message.msg_iov = &octet;
    message.msg_iovlen = 1;
    message.msg_control = ancillary.bytes.data();
    message.msg_controllen = CMSG_SPACE(part.size() * sizeof(int));
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(part.size() * sizeof(int));
    unsigned char* to = CMSG_DATA(header);
    for (const Descriptor& socket : part) {
      const int fd = socket.get();
      memcpy(to, &fd, sizeof(fd));
      to += sizeof(fd);
    }
    if (sendmsg(socket_.get(), &message, MSG_NOSIGNAL) != 1) {
      return absl::UnavailableError(absl::StrFormat(
          "descriptors could not be passed on: %s", strerror(errno)));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Descriptor>> UnixChannel::ReceiveDescriptors(
    size_t count, std::chrono::milliseconds timeout) {
  std::vector<Descriptor> sockets;
  while (sockets.size() < count) {
    const absl::Status ready = AwaitInput(timeout);
    if (!ready.ok()) return ready;
    Ancillary ancillary = {};
    char filler = 0;
    iovec octet = {.iov_base = &filler, .iov_len = 1};
    msghdr message = {};
    message.msg_iov = &octet;
    message.msg_iovlen = 1;
    message.msg_control = ancillary.bytes.data();
    message.msg_controllen = ancillary.bytes.size();
    const ssize_t got = recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
    if (got <= 0) return absl::UnavailableError("the other side has closed");
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (header == nullptr || header->cmsg_type != SCM_RIGHTS) {
      return absl::InvalidArgumentError("no descriptors came");
    }
    const size_t octets = header->cmsg_len - CMSG_LEN(0);
    const unsigned char* from = CMSG_DATA(header);
    for (size_t i = 0; i < octets / sizeof(int); ++i) {
      int fd = -1;
      memcpy(&fd, from + i * sizeof(fd), sizeof(fd));
      sockets.emplace_back(fd);
    }
  }
  return sockets;
}

void UnixChannel::Shutdown() { shutdown(socket_.get(), SHUT_RDWR); }

// --- UnixListener ---------------------------------------------------------

absl::StatusOr<UnixListener> UnixListener::Open(const std::string& path,
                                                bool take_over) {
  const bool displaces = SomebodyListensAt(path);
  if (!take_over && displaces) {
    return absl::AlreadyExistsError(absl::StrFormat(
        "another process listens at %s; stop it, or choose another path",
        path));
  }
  Descriptor socket = MakeSocket();
  if (!socket) return UnixError("cannot listen at", path, errno);
  // Beside the path first, so that there is always a whole socket at it; and
  // from the first moment for its owner alone.
  const std::string beside = Beside(path);
  unlink(beside.c_str());
  sockaddr_storage address;
  const socklen_t length = Endpoint::Unix(beside).ToSockaddr(address);
  fchmod(socket.get(), kOwnerOnly);
  if (bind(socket.get(), reinterpret_cast<sockaddr*>(&address), length) != 0) {
    return UnixError("cannot listen at", path, errno);
  }
  struct stat made = {};
  const bool is_made = listen(socket.get(), kWaitingChannels) == 0 &&
                       stat(beside.c_str(), &made) == 0;
  // Not every file system can exchange.
  const bool is_exchanged = is_made && displaces && Exchange(beside, path);
  const bool is_there =
      is_exchanged || (is_made && rename(beside.c_str(), path.c_str()) == 0);
  if (!is_there) {
    const int error = errno;
    unlink(beside.c_str());
    return UnixError("cannot listen at", path, error);
  }
  UnixListener listener(std::move(socket), path);
  listener.displaces_ = is_exchanged;
  listener.device_ = made.st_dev;
  listener.inode_ = made.st_ino;
  return listener;
}

UnixListener::~UnixListener() {
  if (!socket_) return;
  struct stat now = {};
  const bool is_ours = stat(path_.c_str(), &now) == 0 &&
                       now.st_dev == device_ && now.st_ino == inode_;
  if (!is_ours) return;
  if (displaces_ && Exchange(Beside(path_), path_)) {
    unlink(Beside(path_).c_str());
  } else {
    unlink(path_.c_str());
  }
}

void UnixListener::Commit() {
  if (std::exchange(displaces_, false)) unlink(Beside(path_).c_str());
}

absl::StatusOr<UnixChannel> UnixListener::Accept() {
  while (true) {
    Descriptor accepted(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (accepted) return UnixChannel(std::move(accepted));
    if (errno == EINVAL) return absl::CancelledError("shut down");
    if (errno == EINTR || errno == ECONNABORTED) continue;
    return absl::ResourceExhaustedError(
        absl::StrFormat("%s: accept: %s", path_, strerror(errno)));
  }
}

void UnixListener::Shutdown() { shutdown(socket_.get(), SHUT_RDWR); }

}  // namespace tlspost::io
