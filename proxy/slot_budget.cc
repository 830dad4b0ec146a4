// Shares the process's backend connections among its workers.

#include "proxy/slot_budget.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace tlspost {

SlotBudget::SlotBudget(int max, int workers)
    : workers_(workers), max_(max), share_(workers > 0 ? max / workers : 0) {
  TLSPOST_REQUIRE(max > 0 && workers > 0);
}

SlotBudget::~SlotBudget() { TLSPOST_CHECK(used_ == 0 && members_.empty()); }

std::unique_ptr<SlotBudget::Member> SlotBudget::Join(
    io::Loop& loop, std::function<void()> on_slot,
    std::function<void()> on_reclaim) {
  std::unique_ptr<Member> member(new Member(*this, loop));
  member->callbacks_ = std::make_shared<Member::Callbacks>();
  member->callbacks_->on_slot = std::move(on_slot);
  member->callbacks_->on_reclaim = std::move(on_reclaim);
  const std::lock_guard<std::mutex> lock(mutex_);
  members_.push_back(member.get());
  return member;
}

SlotBudget::Member::~Member() {
  ForgetWish();
  callbacks_->alive = false;
  const std::lock_guard<std::mutex> lock(budget_.mutex_);
  TLSPOST_CHECK(used_ == 0);
  std::erase(budget_.members_, this);
}

bool SlotBudget::Member::Take() {
  const std::lock_guard<std::mutex> lock(budget_.mutex_);
  auto& wishes = budget_.wishes_;
  const bool others_first =
      used_ >= budget_.share_ && !wishes.empty() && wishes.front() != this;
  if (budget_.used_ < budget_.max_ && !others_first) {
    std::erase(wishes, this);
    budget_.wish_count_ = static_cast<int>(wishes.size());
    wishing_ = false;
    ++used_;
    ++budget_.used_;
    // One wake-up may have been for two slots: pass on what is left.
    if (budget_.used_ < budget_.max_) budget_.WakeFirstWish();
    return true;
  }
  if (!wishing_) {
    wishing_ = true;
    wishes.push_back(this);
    budget_.wish_count_ = static_cast<int>(wishes.size());
  }
  budget_.AskForReclaim(*this);
  return false;
}

bool SlotBudget::Member::TakeSpare() {
  const std::lock_guard<std::mutex> lock(budget_.mutex_);
  if (budget_.used_ >= budget_.max_ || !budget_.wishes_.empty()) return false;
  ++used_;
  ++budget_.used_;
  return true;
}

void SlotBudget::Member::Release() {
  const std::lock_guard<std::mutex> lock(budget_.mutex_);
  TLSPOST_CHECK(used_ > 0);
  --used_;
  --budget_.used_;
  budget_.NoteUse();
  budget_.WakeFirstWish();
}

void SlotBudget::Member::ForgetWish() {
  if (!wishing_) return;
  wishing_ = false;
  const std::lock_guard<std::mutex> lock(budget_.mutex_);
  std::erase(budget_.wishes_, this);
  budget_.wish_count_ = static_cast<int>(budget_.wishes_.size());
  // The slot we were woken for may be another's now.
  if (budget_.used_ < budget_.max_) budget_.WakeFirstWish();
}

bool SlotBudget::Member::OthersWish() const {
  if (budget_.wish_count_.load(std::memory_order_relaxed) == 0) return false;
  const std::lock_guard<std::mutex> lock(budget_.mutex_);
  return std::any_of(budget_.wishes_.begin(), budget_.wishes_.end(),
                     [this](const Member* wishing) { return wishing != this; });
}

bool SlotBudget::Member::ShouldGiveUp() const {
  if (!OthersWish()) return false;
  const std::lock_guard<std::mutex> lock(budget_.mutex_);
  return used_ > budget_.share_;
}

void SlotBudget::WakeFirstWish() {
  if (wishes_.empty()) return;
  Member& first = *wishes_.front();
  first.loop_.PostRemote([callbacks = first.callbacks_] {
    if (callbacks->alive) callbacks->on_slot();
  });
}

void SlotBudget::AskForReclaim(const Member& wishing) {
  for (Member* member : members_) {
    if (member == &wishing || member->used_ == 0) continue;
    member->loop_.PostRemote([callbacks = member->callbacks_] {
      if (callbacks->alive) callbacks->on_reclaim();
    });
  }
}

void SlotBudget::SetMax(int max) {
  TLSPOST_REQUIRE(max > 0);
  const std::lock_guard<std::mutex> lock(mutex_);
  max_ = max;
  share_ = max / workers_;
  NoteUse();
  if (used_ < max_) WakeFirstWish();
}

int SlotBudget::max() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return max_;
}

int SlotBudget::used() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return used_;
}

}  // namespace tlspost
