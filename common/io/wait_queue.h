// WaitQueue: coroutines that wait for something to become free, first come
// first served, each with its own deadline.
//
// It knows nothing of what is waited for; the owner decides whom to wake.

#ifndef TLSPOST_COMMON_IO_WAIT_QUEUE_H_
#define TLSPOST_COMMON_IO_WAIT_QUEUE_H_

#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "common/base/intrusive_list.h"
#include "common/io/op.h"

namespace tlspost::io {

class WaitQueue;

// Errors: DeadlineExceeded, or what WakeAll was given.
class [[nodiscard]] WaitOp final : public Op, public ListNode<WaitOp> {
 public:
  WaitOp(Loop& loop, WaitQueue& queue, Time deadline)
      : Op(loop, deadline), queue_(queue) {}
  absl::Status await_resume() { return std::move(result_); }

 private:
  friend class WaitQueue;
  void Begin() override;
  void OnDeadline() override;

  WaitQueue& queue_;
  absl::Status result_;
};

class WaitQueue {
 public:
  explicit WaitQueue(Loop& loop) : loop_(loop) {}

  WaitOp Wait(Time deadline) { return WaitOp(loop_, *this, deadline); }

  bool empty() const { return waiting_.empty(); }
  size_t size() const { return size_; }

  // Wakes the one that waits longest; does nothing when none waits.
  void WakeOne() {
    if (!waiting_.empty()) Wake(waiting_.front(), absl::OkStatus());
  }
  void WakeAll(const absl::Status& result) {
    while (!waiting_.empty()) Wake(waiting_.front(), result);
  }

 private:
  friend class WaitOp;

  void Wake(WaitOp& op, absl::Status result) {
    op.ListNode<WaitOp>::Unlink();
    --size_;
    op.result_ = std::move(result);
    op.Finish();
  }

  Loop& loop_;
  IntrusiveList<WaitOp> waiting_;
  size_t size_ = 0;
};

inline void WaitOp::Begin() {
  queue_.waiting_.PushBack(*this);
  ++queue_.size_;
}

inline void WaitOp::OnDeadline() {
  queue_.Wake(*this, absl::DeadlineExceededError("timeout"));
}

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_WAIT_QUEUE_H_
