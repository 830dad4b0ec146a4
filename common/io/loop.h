// Loop: the seam between everything above and the world outside.
//
// Time, randomness, the network and the order in which coroutines run come
// only through a Loop, so that a session, a pool or a whole worker runs the
// same over io_uring (UringLoop), in the simulation (tests/sim), and over any
// readiness loop that implements these few virtual calls.
//
// A loop belongs to one thread. Work proceeds in turns: completions are
// collected, deadlines fire, then what became ready runs. Now() is constant
// within a turn. Nothing completes inline: an operation always comes back
// through the ready list, so the order has the same properties everywhere.

#ifndef TLSPOST_COMMON_IO_LOOP_H_
#define TLSPOST_COMMON_IO_LOOP_H_

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
  bool stopped() const { return stopped_; }

 private:
  Time now_;
  BlockPool blocks_;
  TimerWheel wheel_;
  IntrusiveList<Runnable> ready_;
  bool stopped_ = false;
};

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_LOOP_H_
