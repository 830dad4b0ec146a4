// Receiving, sending and accepting over epoll.

#include "common/io/epoll_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "common/base/check.h"

namespace tlspost::io {
namespace {

// What one stream may receive before others have their turn: blocks.
constexpr int kMaxReadsPerTurn = 4;
// What one listener may accept before others have their turn.
constexpr int kMaxAcceptsPerTurn = 64;

void DoNotBlock(int fd) {
  const int flags = fcntl(fd, F_GETFL);
  TLSPOST_CHECK(flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0);
}

absl::StatusOr<std::unique_ptr<Stream>> OutOfDescriptors(int error) {
  return absl::ResourceExhaustedError(
      absl::StrFormat("accept: %s", strerror(error)));
}

}  // namespace

// --- EpollSocket ----------------------------------------------------------

EpollSocket::~EpollSocket() { close(fd_); }

int EpollSocket::Register(uint32_t interest) {
  interest_ = interest;
  epoll_event event = {};
  event.events = interest | EPOLLET;
  event.data.ptr = this;
  const int result = epoll_ctl(loop_.epoll_fd(), EPOLL_CTL_ADD, fd_, &event);
  return result == 0 ? 0 : errno;
}

void EpollSocket::Unregister() {
  // Not an error: it may never have been registered.
  epoll_ctl(loop_.epoll_fd(), EPOLL_CTL_DEL, fd_, nullptr);
}

void EpollSocket::NoteFull() {
  output_ready_ = false;
  if ((interest_ & kOutput) != 0) return;
  interest_ |= kOutput;
  epoll_event event = {};
  event.events = interest_ | EPOLLET;
  event.data.ptr = this;
  // Tells of room that there is by now, as well.
  const int result = epoll_ctl(loop_.epoll_fd(), EPOLL_CTL_MOD, fd_, &event);
  TLSPOST_CHECK(result == 0);
}

void EpollSocket::Note(uint32_t events) {
  // With an error or a hang-up, calls in both directions have something to say.
  const bool is_over = (events & (EPOLLERR | EPOLLHUP)) != 0;
  if (is_over || (events & kInput) != 0) input_ready_ = true;
  if (is_over || (events & kOutput) != 0) output_ready_ = true;
  has_more_than_octets_ = is_over || (events & (EPOLLRDHUP | EPOLLPRI)) != 0;
  PutInLine();
}

// --- EpollStream ----------------------------------------------------------

EpollStream::EpollStream(EpollLoop& loop, std::unique_ptr<EpollSocket> socket,
                         Endpoint peer)
    : Stream(loop, std::move(peer)),
      socket_(std::move(socket)),
      is_unix_(this->peer().is_unix()) {
  socket_->set_user(*this);
  if (!is_unix_) DisableNagle(socket_->fd());
}

Endpoint EpollStream::SocketLocal() const {
  return LocalEndpoint(socket_->fd());
}

void EpollStream::ShutdownWrite() { shutdown(socket_->fd(), SHUT_WR); }

void EpollStream::StartReceiving() {
  if (socket_->input_ready()) socket_->PutInLine();
}

void EpollStream::Serve() {
  if (writer() != nullptr && socket_->output_ready()) Send(*writer());
  Receive();
}

void EpollStream::Receive() {
  BlockPool& blocks = loop().blocks();
  for (int reads = 0; reads < kMaxReadsPerTurn; ++reads) {
    if (!wants_input() || !socket_->input_ready()) return;
    char* block = blocks.Take();
    const ssize_t got =
        recv(socket_->fd(), block, BlockPool::kBlockSize, MSG_DONTWAIT);
    if (got > 0) {
      const auto size = static_cast<size_t>(got);
      // A Unix socket's read may also end where something was passed on.
      if (size < BlockPool::kBlockSize && !is_unix_) socket_->NoteShortRead();
      Deliver(Chunk(&blocks, block, size));
      continue;
    }
    const int error = got == 0 ? 0 : errno;
    blocks.ReturnBlock(block);
    if (error == EAGAIN) {
      socket_->NoteEmpty();
    } else if (error != EINTR) {
      DeliverEnd(error == 0 ? absl::OkStatus() : PeerError(error));
    }
  }
  if (wants_input() && socket_->input_ready()) socket_->PutInLine();
}

void EpollStream::Send(WriteOp& op) {
  while (!op.all_written()) {
    iovec slices[2];
    msghdr header = {};
    header.msg_iov = slices;
    for (const std::string_view slice : op.slices()) {
      if (slice.empty()) continue;
      iovec& next = slices[header.msg_iovlen++];
      next.iov_base = const_cast<char*>(slice.data());
      next.iov_len = slice.size();
    }
    const ssize_t sent =
        sendmsg(socket_->fd(), &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      op.Advance(static_cast<size_t>(sent));
    } else if (errno == EAGAIN) {
      return socket_->NoteFull();
    } else if (errno != EINTR) {
      const absl::Status error = PeerError(errno);
      // A server that refuses in mid-message says why before it closes: who
      // hears of the error has those words.
      socket_->NoteInput();
      Receive();
      return FinishWrite(error);
    }
  }
  FinishWrite(absl::OkStatus());
}

void EpollStream::CancelWriting() {
  FinishWrite(absl::CancelledError("cancelled"));
}

// --- EpollListener --------------------------------------------------------

EpollListener::EpollListener(EpollLoop& loop, int fd)
    : Listener(loop), socket_(std::make_unique<EpollSocket>(loop, fd, *this)) {
  DoNotBlock(fd);
}

int EpollListener::Register() { return socket_->Register(EPOLLIN); }

Endpoint EpollListener::local() const {
  TLSPOST_REQUIRE(socket_ != nullptr);
  return LocalEndpoint(socket_->fd());
}

void EpollListener::StartAccepting() {
  is_wanted_ = true;
  if (socket_->input_ready()) socket_->PutInLine();
}

// Accepts as many as there are, up to the limit, when somebody waits for one:
// the others wait in the listener, or in the kernel's own queue.
void EpollListener::Serve() {
  if (!is_wanted_) return;
  for (int accepts = 0; accepts < kMaxAcceptsPerTurn; ++accepts) {
    auto accepted = TakeNext();
    if (!accepted.has_value()) return socket_->NoteEmpty();
    is_wanted_ = false;
    const bool failed = !accepted->ok();
    Deliver(*std::move(accepted));
    if (failed) return;  // the next Accept starts again
  }
  if (is_wanted_) socket_->PutInLine();
}

void EpollListener::DoClose(Queue queue) {
  for (int i = 0; i < kMostHandedOut && queue == Queue::kHandOut; ++i) {
    auto accepted = TakeNext();
    if (!accepted.has_value() || !accepted->ok()) break;
    Deliver(*std::move(accepted));
  }
  Forget();
  Ended();
}

// Others may have the socket still: those who take over, or our own pool of
// listening sockets.
void EpollListener::Forget() {
  if (socket_ == nullptr) return;
  socket_->Unregister();
  socket_.reset();
}

std::optional<absl::StatusOr<std::unique_ptr<Stream>>>
EpollListener::TakeNext() {
  while (true) {
    sockaddr_storage storage = {};
    socklen_t length = sizeof(storage);
    auto* address = reinterpret_cast<sockaddr*>(&storage);
    const int fd =
        accept4(socket_->fd(), address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) return Adopt(fd, Endpoint::FromSockaddr(address, length));
    if (errno == EAGAIN) return std::nullopt;
    const bool is_gone = errno == EINTR || errno == ECONNABORTED;
    if (!is_gone) return OutOfDescriptors(errno);
  }
}

absl::StatusOr<std::unique_ptr<Stream>> EpollListener::Adopt(int fd,
                                                             Endpoint peer) {
  auto socket = std::make_unique<EpollSocket>(epoll(), fd, *this);
  const int error = socket->Register(EpollSocket::kInput);
  if (error != 0) return OutOfDescriptors(error);
  return std::make_unique<EpollStream>(epoll(), std::move(socket),
                                       std::move(peer));
}

}  // namespace tlspost::io
