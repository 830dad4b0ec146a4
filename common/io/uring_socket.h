// Streams and listeners of the io_uring loop. Private to common/io.

#ifndef TLSPOST_COMMON_IO_URING_SOCKET_H_
#define TLSPOST_COMMON_IO_URING_SOCKET_H_

#include <sys/socket.h>

#include <memory>

#include "common/base/frame_slab.h"
#include "common/base/intrusive_list.h"
#include "common/io/listener.h"
#include "common/io/stream.h"
#include "common/io/uring_loop.h"

namespace tlspost::io {

class UringStream;

// A descriptor and its receive. It outlives its stream until the kernel has
// given up the last receive, then closes the descriptor and deletes itself.
class UringSocket final : public Completion, public ListNode<UringSocket> {
 public:
  UringSocket(UringLoop& loop, int fd, UringStream& stream)
      : loop_(loop), fd_(fd), stream_(&stream) {
    loop_.CountSocket(+1);
  }

  int fd() const { return fd_; }
  void Receive();      // arms the multishot receive; harmless when armed
  void StopReceive();  // ends it
  void Abandon();      // the stream has gone

 private:
  ~UringSocket();
  void OnCompletion(int result, uint32_t flags) override;
  void Deliver(int result, uint32_t flags);

  UringLoop& loop_;
  const int fd_;
  UringStream* stream_;
  bool armed_ = false;
  bool cancelled_ = false;  // a cancel is on its way
};

class UringStream final : public Stream, private Completion {
 public:
  // Takes over `fd`, a connected socket.
  UringStream(UringLoop& loop, int fd, Endpoint peer);
  ~UringStream() override;

  void ShutdownWrite() override;

 private:
  friend class UringSocket;
  // What sendmsg reads while two slices are written.
  struct Gather {
    msghdr header = {};
    iovec slices[2] = {};

    // One for each message: not from the heap.
    static void* operator new(size_t size) { return AllocateFrame(size); }
    static void operator delete(void* block, size_t size) {
      FreeFrame(block, size);
    }
  };

  UringLoop& uring() { return static_cast<UringLoop&>(loop()); }
  void StartReceiving() override { socket_->Receive(); }
  void StopReceiving() override { socket_->StopReceive(); }
  void StartWriting(WriteOp& op) override;
  void CancelWriting() override { uring().Cancel(this); }
  Endpoint SocketLocal() const override;
  void DoClose() override;
  void OnCompletion(int result, uint32_t flags) override;  // of a send
  void Submit(WriteOp& op);

  UringSocket* const socket_;  // deletes itself after Abandon
  std::unique_ptr<Gather> gather_;
};

class UringListener final : public Listener {
 public:
  // Takes over `fd`, a listening socket.
  UringListener(UringLoop& loop, int fd);
  ~UringListener() override;

  Endpoint local() const override;

 private:
  class Accepting;
  void StartAccepting() override;
  void DoClose(Queue queue) override;

  Accepting* accepting_;  // deletes itself when the kernel has given it up
};

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_URING_SOCKET_H_
