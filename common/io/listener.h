// Listener: accepts connections on one endpoint.
//
// One coroutine awaits Accept at a time. Connections that the kernel hands
// over in between wait in a queue that the listen backlog bounds.

#ifndef TLSPOST_COMMON_IO_LISTENER_H_
#define TLSPOST_COMMON_IO_LISTENER_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "common/base/check.h"
#include "common/io/op.h"
#include "common/io/stream.h"

namespace tlspost::io {

class Listener;

// Errors: Cancelled after Close; ResourceExhausted when the process is out of
// descriptors (accept again after a pause).
class [[nodiscard]] AcceptOp final : public Op {
 public:
  AcceptOp(Loop& loop, Listener& listener)
      : Op(loop, kNever),
        listener_(listener),
        result_(std::unique_ptr<Stream>()) {}
  absl::StatusOr<std::unique_ptr<Stream>> await_resume() {
    return std::move(result_);
  }

 private:
  friend class Listener;
  void Begin() override;
  void OnDeadline() override {}

  Listener& listener_;
  absl::StatusOr<std::unique_ptr<Stream>> result_;
};

class Listener {
 public:
  virtual ~Listener() { TLSPOST_CHECK(waiter_ == nullptr); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  AcceptOp Accept() { return AcceptOp(loop_, *this); }

  // What becomes of connections that the kernel has made and nobody has
  // accepted yet.
  enum class Queue : uint8_t {
    kHandOut,  // Accept gives them, too; closing the socket would reset them
    kLeave,    // another descriptor of the same socket is there for them
  };
  // Listens no more. Accept goes on to give what was accepted before, and what
  // `queue` says; then it gives Cancelled.
  void Close(Queue queue = Queue::kHandOut) {
    if (closed_) return;
    closed_ = true;
    DoClose(queue);
  }

  // The bound endpoint, with the port the kernel chose.
  virtual Endpoint local() const = 0;

 protected:
  explicit Listener(Loop& loop) : loop_(loop) {}

  // --- called by the implementation ---
  void Deliver(absl::StatusOr<std::unique_ptr<Stream>> accepted) {
    if (waiter_ != nullptr) return Complete(std::move(accepted));
    accepted_.push_back(std::move(accepted));
  }
  Loop& loop() const { return loop_; }
  bool closed() const { return closed_; }
  // Behind DoClose: the last one was delivered.
  void Ended() {
    ended_ = true;
    if (waiter_ != nullptr) Complete(absl::CancelledError("listener closed"));
  }

  // --- what a loop implements ---
  // Accept until DoClose; called again after an error was delivered.
  virtual void StartAccepting() = 0;
  // Deliver what `queue` says, then say Ended; now or later.
  virtual void DoClose(Queue queue) = 0;

  // Clients that come while the kernel's queue is emptied are in it as well;
  // there is an end to that.
  static constexpr int kMostHandedOut = 65536;

 private:
  friend class AcceptOp;

  void StartAccept(AcceptOp& op) {
    TLSPOST_REQUIRE(waiter_ == nullptr);
    waiter_ = &op;
    if (!accepted_.empty()) {
      absl::StatusOr<std::unique_ptr<Stream>> first =
          std::move(accepted_.front());
      accepted_.pop_front();
      return Complete(std::move(first));
    }
    if (ended_) return Complete(absl::CancelledError("listener closed"));
    if (!closed_) StartAccepting();
  }

  void Complete(absl::StatusOr<std::unique_ptr<Stream>> result) {
    AcceptOp& op = *std::exchange(waiter_, nullptr);
    op.result_ = std::move(result);
    op.Finish();
  }

  Loop& loop_;
  AcceptOp* waiter_ = nullptr;
  std::deque<absl::StatusOr<std::unique_ptr<Stream>>> accepted_;
  bool closed_ = false;
  bool ended_ = false;
};

inline void AcceptOp::Begin() { listener_.StartAccept(*this); }

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_LISTENER_H_
