// SimResolver: a DNS that knows what a test says, and takes its time.

#ifndef TLSPOST_TESTS_SIM_SIM_RESOLVER_H_
#define TLSPOST_TESTS_SIM_SIM_RESOLVER_H_

#include <map>
#include <string>
#include <utility>

#include "common/base/task.h"
#include "common/io/name_resolver.h"
#include "common/io/op.h"
#include "common/io/task_group.h"

namespace tlspost::sim {

struct SimName {
  io::PeerName name;
  io::Duration delay{};
  io::Duration good_for = std::chrono::hours(1);
};

class SimResolver final : public io::NameResolver {
 public:
  // By address; the others have no name.
  SimResolver(io::Loop& loop, std::map<std::string, SimName> names)
      : names_(std::move(names)), tasks_(loop) {}

  void Resolve(io::Loop& loop, const io::Endpoint& address,
               Done done) override {
    const auto found = names_.find(address.Address());
    const SimName name = found == names_.end() ? SimName() : found->second;
    tasks_.Spawn(AnswerLater(loop, name, std::move(done)));
  }
  void Forget(io::Loop& /*loop*/) override { forgotten_ = true; }

  // Whether every question was answered.
  bool idle() const { return tasks_.size() == 0; }

 private:
  Task<void> AnswerLater(io::Loop& loop, SimName name, Done done) {
    const io::Time then = loop.Now() + name.delay;
    co_await io::SleepOp(loop, then);
    if (!forgotten_) done(Answer{name.name, name.good_for});
  }

  const std::map<std::string, SimName> names_;
  bool forgotten_ = false;
  io::TaskGroup tasks_;
};

}  // namespace tlspost::sim

#endif  // TLSPOST_TESTS_SIM_SIM_RESOLVER_H_
