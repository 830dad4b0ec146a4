// Loop: the seam between everything above and the world outside.
//
// Time, randomness, the network and the order in which coroutines run come
// only through a Loop, so that a session, a pool or a whole worker runs the
// same over io_uring (UringLoop), over epoll (EpollLoop) and in the simulation
// (tests/sim).
//
// A loop belongs to one thread. Work proceeds in turns: completions are
// collected, deadlines fire, then what became ready runs, then a little of what
// was deferred. Now() is constant within a turn. Nothing completes inline: an
// operation always comes back through the ready list, so the order has the
// same properties everywhere.

#ifndef TLSPOST_COMMON_IO_LOOP_H_
#define TLSPOST_COMMON_IO_LOOP_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/intrusive_list.h"
#include "common/io/chunk.h"
#include "common/io/endpoint.h"
#include "common/io/time.h"
#include "common/io/timer_wheel.h"

namespace tlspost::io {

class ConnectOp;
class Listener;

// Something that can wait in the ready list. Destroying it leaves the list.
class Runnable : public ListNode<Runnable> {
 public:
  virtual void Run() = 0;

 protected:
  ~Runnable() = default;
};

struct ListenOptions {
  int backlog = 4096;
  // Several loops bind the same address and the kernel spreads the clients.
  bool reuse_port = true;
  // A listening socket to take over instead of binding one; -1: there is none.
  int socket = -1;
};

class Loop {
 public:
  virtual ~Loop() = default;
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Runs turns until Stop was called and the turn has ended. In the
  // simulation also until nothing can happen any more.
  virtual void Run() = 0;
  void Stop() { stopped_ = true; }

  // --- time and randomness ---
  Time Now() const { return now_; }
  // For dates in headers and logs; never for deadlines.
  virtual WallTime WallNow() const = 0;
  virtual uint64_t Random() = 0;

  void Arm(Timer& timer, Time deadline) { wheel_.Arm(timer, deadline); }
  void Disarm(Timer& timer) { wheel_.Disarm(timer); }

  // --- scheduling ---
  // `runnable` runs in this turn or the next one; does nothing when it is in
  // the list already.
  void Post(Runnable& runnable) {
    if (!runnable.ListNode<Runnable>::linked()) ready_.PushBack(runnable);
  }
  // For work that takes long by itself, as a step of a handshake does: it runs
  // when everything that was ready has had its turn, first come, first served,
  // and only as much of it in one turn as kDeferredBudget allows.
  void Defer(Runnable& runnable) {
    if (!runnable.ListNode<Runnable>::linked()) deferred_.PushBack(runnable);
  }
  // No deferred work begins after so much of a turn was spent on it; what has
  // begun is not interrupted, and may take as long again (a step of an RSA-2048
  // handshake does). At least one piece runs in each turn.
  static constexpr Duration kDeferredBudget = std::chrono::microseconds(500);
  bool has_deferred() const { return !deferred_.empty(); }
  // Pieces of deferred work that have run.
  int64_t deferred_runs() const { return deferred_runs_; }

  // Like Post, from any thread; `work` runs on the loop's thread.
  virtual void PostRemote(std::function<void()> work) = 0;

  // --- network ---
  // Errors are one line that names `endpoint` and the reason.
  virtual absl::StatusOr<std::unique_ptr<Listener>> Listen(
      const Endpoint& endpoint, const ListenOptions& options) = 0;
  // `op` stays alive until it has completed, with or without CancelConnect.
  virtual void StartConnect(ConnectOp& op) = 0;
  virtual void CancelConnect(ConnectOp& op) = 0;

  // Blocks for plaintext and for what has to be kept.
  BlockPool& blocks() { return blocks_; }

 protected:
  explicit Loop(Time now) : now_(now), wheel_(now) {}

  void SetNow(Time now) {
    if (now > now_) now_ = now;
  }
  TimerWheel& wheel() { return wheel_; }
  IntrusiveList<Runnable>& ready() { return ready_; }
  // Whether a turn must not wait for anything to happen.
  bool has_work() const { return !ready_.empty() || has_deferred(); }
  void RunOneDeferred() {
    ++deferred_runs_;
    deferred_.PopFront().Run();
  }
  // Every turn's last part; `clock` says what time it is now.
  template <typename Clock>
  void RunDeferred(Clock clock) {
    if (!has_deferred()) return;
    const Time end = clock() + kDeferredBudget;
    do {
      RunOneDeferred();
    } while (has_deferred() && clock() < end);
  }
  bool stopped() const { return stopped_; }

 private:
  Time now_;
  BlockPool blocks_;
  TimerWheel wheel_;
  IntrusiveList<Runnable> ready_;
  IntrusiveList<Runnable> deferred_;
  int64_t deferred_runs_ = 0;
  bool stopped_ = false;
};

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_LOOP_H_
