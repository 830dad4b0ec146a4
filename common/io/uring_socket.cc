// Receiving, sending and accepting over io_uring.

#include "common/io/uring_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "common/base/check.h"

namespace tlspost::io {

// --- UringSocket ----------------------------------------------------------

UringSocket::~UringSocket() {
  close(fd_);
  loop_.CountSocket(-1);
}

void UringSocket::Receive() {
  // While a cancel is on its way its completion re-arms.
  if (armed_ || stream_ == nullptr) return;
  ListNode<UringSocket>::Unlink();
  io_uring_sqe* entry = loop_.NextEntry(this);
  io_uring_prep_recv_multishot(entry, fd_, nullptr, 0, 0);
  entry->flags |= IOSQE_BUFFER_SELECT;
  entry->buf_group = UringBuffers::kGroup;
  armed_ = true;
  cancelled_ = false;
}

void UringSocket::StopReceive() {
  ListNode<UringSocket>::Unlink();
  if (!armed_ || cancelled_) return;
  cancelled_ = true;
  loop_.Cancel(this);
}

void UringSocket::Abandon() {
  stream_ = nullptr;
  StopReceive();
  if (!armed_) delete this;
}

void UringSocket::OnCompletion(int result, uint32_t flags) {
  if ((flags & IORING_CQE_F_MORE) == 0) armed_ = false;
  Deliver(result, flags);
  if (armed_) return;
  if (stream_ == nullptr) {
    delete this;
  } else if (result == -ENOBUFS) {
    if (stream_->wants_input()) loop_.AddStarved(*this);
  } else if (stream_->wants_input()) {
    Receive();  // the kernel ended the multishot, or a cancel was overtaken
  }
}

void UringSocket::Deliver(int result, uint32_t flags) {
  Chunk chunk;
  if ((flags & IORING_CQE_F_BUFFER) != 0) {
    chunk = loop_.buffers().Take(flags >> IORING_CQE_BUFFER_SHIFT,
                                 static_cast<size_t>(std::max(result, 0)));
  }
  if (stream_ == nullptr || result == -ECANCELED || result == -ENOBUFS) return;
  if (result <= 0) {
    stream_->DeliverEnd(result == 0 ? absl::OkStatus() : PeerError(-result));
    return;
  }
  // A buffer must not wait for a slow session while others need one.
  if (loop_.buffers().scarce() && !stream_->has_reader()) {
    chunk = loop_.blocks().Copy(chunk.view());
  }
  stream_->Deliver(std::move(chunk));
}

// --- UringStream ----------------------------------------------------------

UringStream::UringStream(UringLoop& loop, int fd, Endpoint peer)
    : Stream(loop, std::move(peer)), socket_(new UringSocket(loop, fd, *this)) {
  if (!this->peer().is_unix()) DisableNagle(fd);
}

UringStream::~UringStream() {
  Close();
  socket_->Abandon();
}

Endpoint UringStream::SocketLocal() const {
  return LocalEndpoint(socket_->fd());
}

void UringStream::ShutdownWrite() { shutdown(socket_->fd(), SHUT_WR); }

void UringStream::DoClose() {
  // The descriptor itself is closed once the kernel has given up the receive.
  socket_->StopReceive();
}

void UringStream::StartWriting(WriteOp& op) { Submit(op); }

void UringStream::Submit(WriteOp& op) {
  auto& slices = op.slices();
  io_uring_sqe* entry = uring().NextEntry(this);
  const int flags = MSG_NOSIGNAL | MSG_WAITALL;
  if (slices[0].empty() || slices[1].empty()) {
    const std::string_view slice = slices[0].empty() ? slices[1] : slices[0];
    io_uring_prep_send(entry, socket_->fd(), slice.data(), slice.size(), flags);
    return;
  }
  gather_ = std::make_unique<Gather>();
  for (int i = 0; i < 2; ++i) {
    gather_->slices[i].iov_base = const_cast<char*>(slices[i].data());
    gather_->slices[i].iov_len = slices[i].size();
  }
  gather_->header.msg_iov = gather_->slices;
  gather_->header.msg_iovlen = 2;
  io_uring_prep_sendmsg(entry, socket_->fd(), &gather_->header, flags);
}

void UringStream::OnCompletion(int result, uint32_t /*flags*/) {
  gather_.reset();
  WriteOp* op = writer();
  TLSPOST_CHECK(op != nullptr);
  if (result < 0) {
    FinishWrite(result == -ECANCELED ? absl::CancelledError("cancelled")
                                     : PeerError(-result));
    return;
  }
  op->Advance(static_cast<size_t>(result));
  if (op->all_written()) return FinishWrite(absl::OkStatus());
  // A write that was cancelled in its middle reports what it had done.
  if (op->cancelled()) return FinishWrite(absl::CancelledError("cancelled"));
  Submit(*op);
}

// --- UringListener --------------------------------------------------------

// The multishot accept. It outlives the listener until the kernel has given
// it up.
class UringListener::Accepting final : public Completion {
 public:
  Accepting(UringLoop& loop, int fd, UringListener& listener)
      : loop_(loop), fd_(fd), listener_(&listener) {}

  int fd() const { return fd_; }

  void Start() {
    if (armed_) return;
    armed_ = true;
    // Not SOCK_NONBLOCK: io_uring would then report EAGAIN instead of waiting.
    io_uring_prep_multishot_accept(loop_.NextEntry(this), fd_, nullptr, nullptr,
                                   SOCK_CLOEXEC);
  }

  // Gives the listener what `queue` says, and then its end.
  void Close(Listener::Queue queue) {
    closing_ = true;
    queue_ = queue;
    if (armed_) {
      loop_.Cancel(this);
    } else {
      End();
    }
  }

  // There is no listener any more.
  void Abandon() {
    listener_ = nullptr;
    if (armed_) {
      loop_.Cancel(this);
    } else {
      delete this;
    }
  }

 private:
  ~Accepting() {
    if (fd_ >= 0) close(fd_);
  }

  void OnCompletion(int result, uint32_t flags) override {
    if ((flags & IORING_CQE_F_MORE) == 0) armed_ = false;
    if (result >= 0) {
      HandOut(result);
    } else if (listener_ != nullptr && !closing_ && result != -ECANCELED &&
               result != -ECONNABORTED) {
      listener_->Deliver(absl::ResourceExhaustedError(
          absl::StrFormat("accept: %s", strerror(-result))));
      return;  // the next Accept starts again
    }
    if (armed_) return;
    if (listener_ == nullptr) {
      delete this;
    } else if (closing_) {
      End();
    } else {
      Start();
    }
  }

  void End() {
    if (fd_ < 0) return;
    if (queue_ == Listener::Queue::kHandOut) EmptyQueue();
    close(fd_);
    fd_ = -1;
    listener_->Ended();
  }

  // Somebody else may accept here as well and be faster than we are behind
  // poll: then it must not wait. (Not O_NONBLOCK, which would be theirs, too.)
  void EmptyQueue() {
    const timeval soon = {.tv_sec = 0, .tv_usec = 1000};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
    for (int i = 0; i < kMostHandedOut; ++i) {
      pollfd waiting = {.fd = fd_, .events = POLLIN, .revents = 0};
      if (poll(&waiting, 1, /*timeout=*/0) <= 0) return;
      const int fd = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      HandOut(fd);
    }
  }

  void HandOut(int fd) {
    if (listener_ == nullptr) {
      close(fd);
      return;
    }
    // A client that has reset its connection meanwhile has no address any
    // more, and nobody is there.
    Endpoint peer = PeerEndpoint(fd);
    if (peer.family() == AF_UNSPEC) {
      close(fd);
      return;
    }
    listener_->Deliver(
        std::make_unique<UringStream>(loop_, fd, std::move(peer)));
  }

  UringLoop& loop_;
  int fd_;  // -1: closed
  UringListener* listener_;
  bool armed_ = false;
  bool closing_ = false;
  Listener::Queue queue_ = Listener::Queue::kHandOut;
};

UringListener::UringListener(UringLoop& loop, int fd)
    : Listener(loop), accepting_(new Accepting(loop, fd, *this)) {
  // It may have been an EpollListener's, in another process.
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
}

UringListener::~UringListener() { accepting_->Abandon(); }

Endpoint UringListener::local() const {
  return LocalEndpoint(accepting_->fd());
}

void UringListener::StartAccepting() { accepting_->Start(); }

void UringListener::DoClose(Queue queue) { accepting_->Close(queue); }

}  // namespace tlspost::io
