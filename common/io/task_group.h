// TaskGroup: outermost tasks that run beside each other on one loop.
//
// The group owns them from Spawn to their end and frees them from the loop's
// next turn. It is destroyed only when it is empty: end the tasks first (close
// what they wait on), then await Drained().

#ifndef TLSPOST_COMMON_IO_TASK_GROUP_H_
#define TLSPOST_COMMON_IO_TASK_GROUP_H_

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/base/task.h"
#include "common/io/loop.h"
#include "common/io/wait_queue.h"

namespace tlspost::io {

class TaskGroup {
 public:
  explicit TaskGroup(Loop& loop)
      : loop_(loop), drained_(loop), reaper_(*this) {}
  ~TaskGroup() { TLSPOST_CHECK(size_ == 0); }
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  // Runs `task` until it first waits; it goes on by itself.
  void Spawn(Task<void> task) {
    ++size_;
    auto* member = new Member(*this, std::move(task));
    member->task.Start(member);
  }

  // Tasks that have not ended.
  size_t size() const { return size_; }

  // Awaits that no task is left (and freed), or `deadline`.
  Task<bool> Drained(Time deadline) {
    while (size_ > 0 || !finished_.empty()) {
      const absl::Status woken = co_await drained_.Wait(deadline);
      if (!woken.ok()) co_return false;
    }
    co_return true;
  }

 private:
  struct Member final : TaskOwner {
    Member(TaskGroup& owning_group, Task<void> owned_task)
        : group(owning_group), task(std::move(owned_task)) {}
    void OnTaskDone() override {
      --group.size_;
      group.finished_.emplace_back(this);
      group.loop_.Post(group.reaper_);
    }
    TaskGroup& group;
    Task<void> task;
  };

  struct Reaper final : Runnable {
    explicit Reaper(TaskGroup& owning_group) : group(owning_group) {}
    void Run() override {
      group.finished_.clear();
      if (group.size_ == 0) group.drained_.WakeAll(absl::OkStatus());
    }
    TaskGroup& group;
  };

  Loop& loop_;
  size_t size_ = 0;
  std::vector<std::unique_ptr<Member>> finished_;
  WaitQueue drained_;
  Reaper reaper_;
};

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_TASK_GROUP_H_
