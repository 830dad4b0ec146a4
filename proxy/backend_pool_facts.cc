// What others are told of the pool.

#include <algorithm>

#include "proxy/backend_pool.h"

namespace tlspost {
namespace {

std::string_view WordFor(IdentityReuse reuse) {
  switch (reuse) {
    case IdentityReuse::kMany:
      return "many";
    case IdentityReuse::kOnce:
      return "one";
    case IdentityReuse::kUnknown:
      break;
  }
  return "unknown";
}

}  // namespace

std::vector<TargetFacts> BackendPool::Targets() const {
  std::vector<TargetFacts> all;
  for (size_t i = 0; i < targets_.size(); ++i) {
    const BackendTarget& target = targets_.at(i);
    TargetFacts facts;
    facts.address = target.endpoint().ToString();
    facts.up = target.capabilities.has_value() && !target.is_down();
    facts.open = target.open;
    facts.lent = target.lent;
    facts.dialing = target.dialing;
    facts.idle = static_cast<int>(std::count_if(
        idle_.begin(), idle_.end(),
        [&](const auto& backend) { return backend->target == &target; }));
    const io::Time now = loop_.Now();
    if (target.is_down() && target.retry_at() > now) {
      facts.retry_in = target.retry_at() - now;
    }
    facts.identities = WordFor(target.identity_reuse);
    all.push_back(std::move(facts));
  }
  return all;
}

}  // namespace tlspost
