// SlotBudget: never more slots than there are, everybody gets one in the end.

#include "proxy/slot_budget.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/io/engine.h"
#include "common/io/task_group.h"
#include "common/io/wait_queue.h"
#include "tests/sim/sim_loop.h"

namespace tlspost {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

// A worker's pool as the budget sees it.
class Pool {
 public:
  Pool(SlotBudget& budget, io::Loop& loop)
      : member_(budget.Join(
            loop, [this] { ++slots_offered; }, [this] { ++reclaims; })) {}

  SlotBudget::Member& operator*() { return *member_; }
  SlotBudget::Member* operator->() { return member_.get(); }

  void TakeMany(int count) {
    for (int i = 0; i < count; ++i) EXPECT_TRUE(member_->Take()) << i;
  }
  void ReleaseMany(int count) {
    for (int i = 0; i < count; ++i) member_->Release();
  }

  int slots_offered = 0;
  int reclaims = 0;

 private:
  std::unique_ptr<SlotBudget::Member> member_;
};

class SlotBudgetTest : public ::testing::Test {
 protected:
  void TearDown() override { Settle(); }

  // Lets what was posted run.
  void Settle() {
    loop_.RunUntil([] { return false; }, 1s);
  }

  sim::SimLoop loop_{/*seed=*/1};
};

TEST_F(SlotBudgetTest, FewerSlotsThanAreInUse) {
  SlotBudget budget(4, /*workers=*/2);
  Pool one(budget, loop_);
  Pool other(budget, loop_);
  one.TakeMany(3);
  EXPECT_FALSE(one->IsOverMax());
  budget.SetMax(2);
  EXPECT_EQ(budget.max(), 2);
  EXPECT_TRUE(one->IsOverMax());
  EXPECT_TRUE(other->IsOverMax());
  EXPECT_FALSE(other->Take());
  one.ReleaseMany(1);
  EXPECT_FALSE(one->IsOverMax());
  EXPECT_FALSE(other->Take());
  // And who waits is still woken when there is one.
  one.ReleaseMany(1);
  Settle();
  EXPECT_GT(other.slots_offered, 0);
  EXPECT_TRUE(other->Take());
  one.ReleaseMany(1);
  other.ReleaseMany(1);
}

TEST_F(SlotBudgetTest, MoreSlotsAreOfferedToAllWhoWait) {
  SlotBudget budget(1, /*workers=*/3);
  Pool one(budget, loop_);
  Pool second(budget, loop_);
  Pool third(budget, loop_);
  one.TakeMany(1);
  EXPECT_FALSE(second->Take());
  EXPECT_FALSE(third->Take());
  Settle();
  EXPECT_EQ(second.slots_offered, 0);
  budget.SetMax(3);
  Settle();
  EXPECT_EQ(second.slots_offered, 1);
  second.TakeMany(1);
  Settle();
  EXPECT_EQ(third.slots_offered, 1);
  third.TakeMany(1);
  for (Pool* pool : {&one, &second, &third}) pool->ReleaseMany(1);
}

TEST_F(SlotBudgetTest, GivesAsManyAsThereAre) {
  SlotBudget budget(4, /*workers=*/2);
  Pool one(budget, loop_);
  EXPECT_EQ(budget.max(), 4);
  one.TakeMany(4);
  EXPECT_EQ(budget.used(), 4);
  EXPECT_FALSE(one->Take());
  EXPECT_FALSE(one->TakeSpare());
  EXPECT_EQ(budget.used(), 4);
  one.ReleaseMany(4);
  EXPECT_EQ(budget.used(), 0);
}

TEST_F(SlotBudgetTest, WhatOthersLeaveUnusedIsLentAndAskedBack) {
  SlotBudget budget(4, /*workers=*/2);
  Pool rich(budget, loop_);
  Pool poor(budget, loop_);
  rich.TakeMany(4);
  EXPECT_FALSE(rich->OthersWish());
  EXPECT_FALSE(rich->ShouldGiveUp());

  EXPECT_FALSE(poor->Take());
  EXPECT_EQ(rich.reclaims, 0) << "never inline";
  Settle();
  EXPECT_EQ(rich.reclaims, 1);
  EXPECT_EQ(poor.reclaims, 0);
  EXPECT_TRUE(rich->OthersWish());
  EXPECT_TRUE(rich->ShouldGiveUp()) << "4 of a share of 2";
  EXPECT_FALSE(poor->OthersWish()) << "its own wish";

  rich->Release();
  Settle();
  EXPECT_EQ(poor.slots_offered, 1);
  EXPECT_FALSE(rich->Take()) << "the wish comes first";
  EXPECT_TRUE(poor->Take());
  poor.ReleaseMany(1);
  rich->ForgetWish();
  rich.ReleaseMany(3);
}

TEST_F(SlotBudgetTest, NobodyGivesUpWhatIsItsShare) {
  SlotBudget budget(4, /*workers=*/2);
  Pool one(budget, loop_);
  Pool two(budget, loop_);
  one.TakeMany(2);
  two.TakeMany(2);
  EXPECT_FALSE(two->Take());
  EXPECT_TRUE(one->OthersWish()) << "it closes what lies idle";
  EXPECT_FALSE(one->ShouldGiveUp()) << "but keeps what is in use";
  two->ForgetWish();
  EXPECT_FALSE(one->OthersWish());
  one.ReleaseMany(2);
  two.ReleaseMany(2);
}

TEST_F(SlotBudgetTest, BelowItsShareAWorkerPassesTheWishes) {
  SlotBudget budget(4, /*workers=*/2);
  Pool rich(budget, loop_);
  Pool poor(budget, loop_);
  rich.TakeMany(4);
  EXPECT_FALSE(rich->Take());  // it wishes for a fifth, and is first
  rich->Release();
  EXPECT_TRUE(poor->Take()) << "it has none and is entitled to two";
  rich->ForgetWish();
  poor.ReleaseMany(1);
  rich.ReleaseMany(3);
}

TEST_F(SlotBudgetTest, WishesAreServedInOrder) {
  SlotBudget budget(1, /*workers=*/3);
  Pool holder(budget, loop_);
  Pool first(budget, loop_);
  Pool second(budget, loop_);
  holder.TakeMany(1);
  EXPECT_FALSE(first->Take());
  EXPECT_FALSE(second->Take());
  EXPECT_FALSE(first->Take()) << "a wish is remembered once";

  holder->Release();
  Settle();
  EXPECT_EQ(first.slots_offered, 1);
  EXPECT_EQ(second.slots_offered, 0);
  EXPECT_FALSE(second->Take()) << "not before the first";
  EXPECT_TRUE(first->Take());

  first->Release();
  Settle();
  EXPECT_EQ(first.slots_offered, 1) << "its wish was granted";
  EXPECT_EQ(second.slots_offered, 1);
  EXPECT_TRUE(second->Take());
  second->Release();
}

TEST_F(SlotBudgetTest, WithFewerSlotsThanWorkersEverythingIsBorrowed) {
  SlotBudget budget(1, /*workers=*/4);
  Pool holder(budget, loop_);
  Pool other(budget, loop_);
  holder.TakeMany(1);
  EXPECT_FALSE(holder->ShouldGiveUp()) << "nobody wishes";
  EXPECT_FALSE(other->Take());
  EXPECT_TRUE(holder->ShouldGiveUp()) << "a share of none";
  holder->Release();
  Settle();
  EXPECT_EQ(other.slots_offered, 1);
  EXPECT_TRUE(other->Take());
  other->Release();
}

TEST_F(SlotBudgetTest, AForgottenWishWakesTheNext) {
  SlotBudget budget(1, /*workers=*/3);
  Pool holder(budget, loop_);
  Pool first(budget, loop_);
  Pool second(budget, loop_);
  holder.TakeMany(1);
  EXPECT_FALSE(first->Take());
  EXPECT_FALSE(second->Take());
  holder->Release();
  Settle();
  EXPECT_EQ(first.slots_offered, 1);
  first->ForgetWish();  // its client has gone meanwhile
  first->ForgetWish();
  Settle();
  EXPECT_EQ(second.slots_offered, 1);
  EXPECT_TRUE(second->Take());
  second->Release();
}

TEST_F(SlotBudgetTest, AWisherThatGoesWakesTheNext) {
  SlotBudget budget(1, /*workers=*/3);
  Pool holder(budget, loop_);
  auto first = std::make_unique<Pool>(budget, loop_);
  Pool second(budget, loop_);
  holder.TakeMany(1);
  EXPECT_FALSE((*first)->Take());
  EXPECT_FALSE(second->Take());
  holder->Release();
  first.reset();  // with the call to it on its way
  Settle();
  EXPECT_EQ(second.slots_offered, 1);
  EXPECT_TRUE(second->Take());
  second->Release();
}

// Two slots come free before the first wisher has run: its two wake-ups must
// not swallow the second one's.
TEST_F(SlotBudgetTest, TwoSlotsThatComeFreeAtOnceWakeTwoWishes) {
  SlotBudget budget(2, /*workers=*/3);
  Pool holder(budget, loop_);
  Pool first(budget, loop_);
  Pool second(budget, loop_);
  holder.TakeMany(2);
  EXPECT_FALSE(first->Take());
  EXPECT_FALSE(second->Take());
  holder.ReleaseMany(2);
  Settle();
  EXPECT_GE(first.slots_offered, 1);
  EXPECT_TRUE(first->Take());
  first->ForgetWish();  // it needs no more
  Settle();
  EXPECT_GE(second.slots_offered, 1) << "a slot is free and nobody says so";
  EXPECT_TRUE(second->Take());
  first->Release();
  second->Release();
}

TEST_F(SlotBudgetTest, ASpareIsTakenOnlyWhenNobodyWishes) {
  SlotBudget budget(2, /*workers=*/2);
  Pool one(budget, loop_);
  Pool two(budget, loop_);
  EXPECT_TRUE(one->TakeSpare());
  EXPECT_TRUE(one->TakeSpare());
  EXPECT_FALSE(one->TakeSpare());
  EXPECT_FALSE(two->TakeSpare()) << "and it leaves no wish";
  EXPECT_FALSE(one->OthersWish());
  EXPECT_FALSE(two->Take());
  one->Release();
  EXPECT_FALSE(one->TakeSpare()) << "the slot is wished for";
  EXPECT_TRUE(two->Take());
  one->Release();
  two->Release();
}

TEST_F(SlotBudgetTest, NobodyIsCalledAfterItHasGone) {
  SlotBudget budget(1, /*workers=*/2);
  Pool holder(budget, loop_);
  holder.TakeMany(1);
  {
    Pool gone(budget, loop_);
    EXPECT_FALSE(gone->Take());
    holder->Release();  // posts a call to `gone`
  }
  Settle();  // the sanitizer watches
  EXPECT_TRUE(holder->Take());
  holder->Release();
}

using SlotBudgetDeathTest = SlotBudgetTest;

TEST_F(SlotBudgetDeathTest, AsksForPositiveNumbers) {
  EXPECT_DEATH(SlotBudget(0, 1), "REQUIRE failed");
  EXPECT_DEATH(SlotBudget(1, 0), "REQUIRE failed");
}

TEST_F(SlotBudgetDeathTest, NoticesASlotGivenBackTwice) {
  SlotBudget budget(1, 1);
  Pool pool(budget, loop_);
  EXPECT_DEATH(pool->Release(), "CHECK failed: used_ > 0");
}

// --- many threads ---------------------------------------------------------

// A worker of its own thread that uses slots as the pool does: it keeps them
// idle after use, gives idle ones up when asked, and waits for one when it has
// none. Being left waiting is the failure.
class HammeringWorker {
 public:
  HammeringWorker(SlotBudget& budget, io::Loop& loop, std::atomic<int>& in_use,
                  int max)
      : loop_(loop), in_use_(in_use), max_(max), waiters_(loop), tasks_(loop) {
    slots_ = budget.Join(
        loop,
        [this] {
          if (waiters_.empty()) {
            slots_->ForgetWish();
          } else {
            waiters_.WakeOne();
          }
        },
        [this] { GiveUpIdle(); });
  }

  Task<void> Run(int clients, int uses) {
    for (int i = 0; i < clients; ++i) tasks_.Spawn(Use(uses));
    const bool drained = co_await tasks_.Drained(io::kNever);
    EXPECT_TRUE(drained);
    slots_->ForgetWish();
    while (idle_ > 0) GiveBack();
  }

  int timeouts() const { return timeouts_; }

 private:
  Task<void> Use(int uses) {
    for (int i = 0; i < uses; ++i) {
      while (idle_ == 0 && !slots_->Take()) {
        const io::Time deadline = loop_.Now() + 20s;
        const absl::Status woken = co_await waiters_.Wait(deadline);
        if (woken.ok()) continue;
        ++timeouts_;
        co_return;
      }
      if (idle_ > 0) {
        --idle_;
      } else {
        CountTaken();
      }
      WishForOthers();
      const io::Time until = loop_.Now() + (loop_.Random() % 20) * 1ms;
      co_await io::SleepOp(loop_, until);
      ++idle_;
      if (slots_->ShouldGiveUp()) {
        GiveBack();
      } else {
        waiters_.WakeOne();
        GiveUpIdle();
      }
    }
  }

  // One wish stands for all who wait here: it was granted, or is of no use.
  void WishForOthers() {
    if (waiters_.empty()) {
      slots_->ForgetWish();
    } else if (slots_->Take()) {
      CountTaken();
      ++idle_;
      waiters_.WakeOne();
    }
  }

  void CountTaken() { EXPECT_LE(in_use_.fetch_add(1) + 1, max_); }

  void GiveUpIdle() {
    if (idle_ > 0 && slots_->OthersWish()) GiveBack();
  }

  void GiveBack() {
    --idle_;
    in_use_.fetch_sub(1);
    slots_->Release();
  }

  io::Loop& loop_;
  std::atomic<int>& in_use_;
  const int max_;
  std::unique_ptr<SlotBudget::Member> slots_;
  io::WaitQueue waiters_;
  io::TaskGroup tasks_;
  int idle_ = 0;
  int timeouts_ = 0;
};

class Stopper final : public TaskOwner {
 public:
  explicit Stopper(io::Loop& loop) : loop_(loop) {}
  void OnTaskDone() override { loop_.Stop(); }

 private:
  io::Loop& loop_;
};

void Hammer(int max, int workers, int clients, int uses) {
  SlotBudget budget(max, workers);
  std::atomic<int> in_use = 0;
  std::atomic<int> timeouts = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < workers; ++i) {
    threads.emplace_back([&] {
      auto loop =
          io::CreateLoop(io::EngineChoice::kAuto,
                         {.submission_entries = 64, .receive_buffers = 8});
      ASSERT_TRUE(loop.ok());
      {
        HammeringWorker worker(budget, **loop, in_use, max);
        Stopper stopper(**loop);
        Task<void> run = worker.Run(clients, uses);
        run.Start(&stopper);
        (*loop)->Run();
        EXPECT_TRUE(run.done());
        timeouts += worker.timeouts();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(timeouts, 0) << "somebody was forgotten";
  EXPECT_EQ(in_use, 0);
  EXPECT_EQ(budget.used(), 0);
}

TEST(SlotBudgetStress, MoreSlotsThanWorkers) { Hammer(8, 4, 6, 60); }

TEST(SlotBudgetStress, FewerSlotsThanWorkers) { Hammer(2, 5, 4, 20); }

TEST(SlotBudgetStress, OneSlotForAll) { Hammer(1, 4, 2, 20); }

}  // namespace
}  // namespace tlspost
