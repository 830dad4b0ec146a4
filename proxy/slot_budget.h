// SlotBudget: backend_max_connections for the whole process.
//
// Each worker has a pool of its own; this is the only thing the pools share,
// and it is asked when a connection is opened or closed, not per transaction.
// A worker is entitled to its share (max / workers, rounded down) and may
// borrow what others leave unused. When a worker finds no slot, the others are
// asked for one: who has an idle connection closes it at once, and who is above
// its share closes the next one that comes back. So no worker waits for
// another's idle connection, also with fewer slots than workers.

#ifndef TLSPOST_PROXY_SLOT_BUDGET_H_
#define TLSPOST_PROXY_SLOT_BUDGET_H_

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "common/io/loop.h"

namespace tlspost {

class SlotBudget {
 public:
  // What a worker's pool holds; all its methods are called on that worker's
  // thread.
  class Member {
   public:
    ~Member();
    Member(const Member&) = delete;
    Member& operator=(const Member&) = delete;

    // Takes a slot. If there is none, remembers the wish: `on_slot` will be
    // called when one may be free. A wish is remembered once.
    bool Take();
    // Takes a slot that nobody wishes for, or none.
    bool TakeSpare();
    void Release();
    // No slot is wished for any more.
    void ForgetWish();
    // Another worker wishes for a slot: what lies idle here is to be closed.
    bool OthersWish() const;
    // And this worker is above its share: so is what comes back.
    bool ShouldGiveUp() const;
    // There are more slots in use than there may be now: what is idle, and what
    // comes back, is to be closed.
    bool IsOverMax() const {
      return budget_.over_max_.load(std::memory_order_relaxed);
    }

   private:
    friend class SlotBudget;
    struct Callbacks {
      std::function<void()> on_slot;
      std::function<void()> on_reclaim;
      bool alive = true;  // read and written on the worker's thread only
    };
    Member(SlotBudget& budget, io::Loop& loop) : budget_(budget), loop_(loop) {}

    SlotBudget& budget_;
    io::Loop& loop_;
    std::shared_ptr<Callbacks> callbacks_;
    bool wishing_ = false;  // the worker's thread only
    int used_ = 0;          // guarded by budget_.mutex_
  };

  SlotBudget(int max, int workers);
  ~SlotBudget();

  // `on_slot`: a slot may be free now. `on_reclaim`: another worker wishes for
  // one; give up an idle connection. Both run on `loop`'s thread, later.
  std::unique_ptr<Member> Join(io::Loop& loop, std::function<void()> on_slot,
                               std::function<void()> on_reclaim);

  // As many from now on. What is open beyond that is closed when it is idle or
  // comes back. Any thread.
  void SetMax(int max);

  int used() const;
  int max() const;

 private:
  // All with mutex_ held.
  void NoteUse() { over_max_.store(used_ > max_, std::memory_order_relaxed); }
  void WakeFirstWish();
  void AskForReclaim(const Member& wishing);

  const int workers_;
  mutable std::mutex mutex_;
  // From here on guarded by it.
  int max_;
  int share_;
  int used_ = 0;
  std::vector<Member*> members_;
  std::vector<Member*> wishes_;  // first come, first served
  std::atomic<int> wish_count_ = 0;
  std::atomic<bool> over_max_ = false;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_SLOT_BUDGET_H_
