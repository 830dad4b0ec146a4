// Streams and listeners of the epoll loop. Private to common/io.

#ifndef TLSPOST_COMMON_IO_EPOLL_SOCKET_H_
#define TLSPOST_COMMON_IO_EPOLL_SOCKET_H_

#include <sys/epoll.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "common/base/intrusive_list.h"
#include "common/io/epoll_loop.h"
#include "common/io/listener.h"
#include "common/io/stream.h"

namespace tlspost::io {

// Whose socket it is.
class EpollUser {
 public:
  // The socket is ready for something. Does a bounded piece of work and runs
  // no coroutine; may destroy the socket.
  virtual void Serve() = 0;

 protected:
  ~EpollUser() = default;
};

// A descriptor in the epoll set, and what was last heard of it.
class EpollSocket final : public ListNode<EpollSocket> {
 public:
  static constexpr uint32_t kInput = EPOLLIN | EPOLLRDHUP | EPOLLPRI;
  static constexpr uint32_t kOutput = EPOLLOUT;

  // Takes over `fd`, which does not block.
  EpollSocket(EpollLoop& loop, int fd, EpollUser& user)
      : loop_(loop), fd_(fd), user_(&user) {}
  // Closes the descriptor, which takes it out of the set if nobody has a copy.
  ~EpollSocket();

  int fd() const { return fd_; }
  void set_user(EpollUser& user) { user_ = &user; }

  // Hears of `interest` from now on, also of what is the case already. 0, or
  // the error (errno).
  int Register(uint32_t interest);
  // Hears of nothing any more, also if the socket lives on by a copy of the
  // descriptor, in this process or another: epoll watches sockets.
  void Unregister();

  // --- input ---
  bool input_ready() const { return input_ready_; }
  // There may be something, whatever the kernel has told of so far.
  void NoteInput() { input_ready_ = true; }
  // A call has said EAGAIN.
  void NoteEmpty() { input_ready_ = false; }
  // A TCP socket had less than there was room for. That is all there is, unless
  // the end, an error or an urgent octet cut it short: all of these the kernel
  // has told of by the time, or will tell by an edge of their own.
  void NoteShortRead() {
    if (!has_more_than_octets_) input_ready_ = false;
  }

  // --- output: a call is tried first ---
  bool output_ready() const { return output_ready_; }
  // A call has said EAGAIN. From the first time on, room is an edge, too.
  void NoteFull();

  // --- for the loop ---
  void Note(uint32_t events);
  void Serve() { user_->Serve(); }
  // For a user who has left something to do.
  void PutInLine() { loop_.PutInLine(*this); }

 private:
  EpollLoop& loop_;
  const int fd_;
  EpollUser* user_;
  uint32_t interest_ = 0;
  bool input_ready_ = false;
  bool output_ready_ = false;
  bool has_more_than_octets_ = false;
};

class EpollStream final : public Stream, public EpollUser {
 public:
  // `socket` is connected and registered.
  EpollStream(EpollLoop& loop, std::unique_ptr<EpollSocket> socket,
              Endpoint peer);
  ~EpollStream() override { Close(); }

  void ShutdownWrite() override;

 private:
  void StartReceiving() override;
  // Receive asks whether input is wanted.
  void StopReceiving() override {}
  void StartWriting(WriteOp& op) override { Send(op); }
  void CancelWriting() override;
  Endpoint SocketLocal() const override;
  // The peer hears of it when the stream is destroyed.
  void DoClose() override {}
  void Serve() override;
  void Receive();
  void Send(WriteOp& op);

  const std::unique_ptr<EpollSocket> socket_;
  const bool is_unix_;
};

class EpollListener final : public Listener, public EpollUser {
 public:
  // Takes over `fd`, a listening socket.
  EpollListener(EpollLoop& loop, int fd);
  ~EpollListener() override { Forget(); }

  int Register();  // 0 or errno
  Endpoint local() const override;

 private:
  void StartAccepting() override;
  void DoClose(Queue queue) override;
  void Serve() override;
  // The next of the kernel's queue, or that there are no descriptors; nothing
  // when it is empty.
  std::optional<absl::StatusOr<std::unique_ptr<Stream>>> TakeNext();
  absl::StatusOr<std::unique_ptr<Stream>> Adopt(int fd, Endpoint peer);
  void Forget();

  EpollLoop& epoll() { return static_cast<EpollLoop&>(loop()); }

  std::unique_ptr<EpollSocket> socket_;  // null once closed
  bool is_wanted_ = false;               // somebody waits for a connection
};

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_EPOLL_SOCKET_H_
