// Back-off, slow start, and which target is the best.

#include "proxy/backend_target.h"

#include <algorithm>
#include <tuple>

#include "common/base/check.h"

namespace tlspost {

std::string BackendTarget::Host() const {
  const std::string_view name = address_.name;
  if (name.starts_with(io::kUnixPrefix)) return {};
  std::string_view host = name.substr(0, name.rfind(':'));
  if (host.size() > 2 && host.front() == '[') {
    host = host.substr(1, host.size() - 2);
  }
  return std::string(host);
}

io::Duration BackendTarget::NoteFailure(io::Time began, io::Time now,
                                        io::Duration shortest,
                                        io::Duration longest, uint64_t random) {
  if (is_down() && began <= failed_at_) {
    return std::max(retry_at_ - now, io::Duration());
  }
  failed_at_ = now;
  ++failures_;
  io::Duration pause = shortest;
  for (int i = 1; i < failures_ && pause < longest; ++i) pause *= 2;
  pause = std::min(pause, longest);
  // Jitter: the pools of all workers must not knock at the same moment.
  const auto half = static_cast<uint64_t>(pause.count() / 2);
  pause = pause / 2 + io::Duration(static_cast<int64_t>(random % (half + 1)));
  retry_at_ = now + pause;
  return pause;
}

void BackendTarget::NoteOpened() {
  if (!is_down()) return;
  failures_ = 0;
  allowance_ = 1;
  // It may have been given other settings meanwhile.
  identity_reuse = IdentityReuse::kUnknown;
}

BackendTargets::BackendTargets(std::vector<BackendAddress> addresses) {
  Replace(std::move(addresses));
}

void BackendTargets::Replace(std::vector<BackendAddress> addresses) {
  TLSPOST_REQUIRE(!addresses.empty());
  std::vector<std::unique_ptr<BackendTarget>> before = std::move(targets_);
  targets_.clear();
  for (BackendAddress& address : addresses) {
    const auto same =
        std::find_if(before.begin(), before.end(), [&](const auto& target) {
          return target != nullptr && target->address() == address;
        });
    if (same != before.end()) {
      targets_.push_back(std::move(*same));
      continue;
    }
    targets_.push_back(std::make_unique<BackendTarget>(std::move(address)));
    targets_.back()->clock_ = &clock_;
  }
  for (auto& target : before) {
    if (target == nullptr) continue;
    target->is_removed_ = true;
    removed_.push_back(std::move(target));
  }
}

void BackendTargets::ForgetRemoved() {
  std::erase_if(removed_, [](const auto& target) { return target->open == 0; });
}

bool BackendTargets::IsBetter(const BackendTarget& a, const BackendTarget& b,
                              io::Time now) {
  const auto rank = [now](const BackendTarget& target) {
    return std::tuple(target.is_down(), target.is_avoided(now),
                      target.has_its_share(), target.busy(),
                      target.last_lease());
  };
  return rank(a) < rank(b);
}

BackendTarget* BackendTargets::BestToDial(
    io::Time now, const std::vector<BackendTarget*>& slow) const {
  const auto rank = [&slow, now](const BackendTarget& target) {
    const bool is_slow =
        std::find(slow.begin(), slow.end(), &target) != slow.end();
    return std::tuple(is_slow, target.is_down(), target.is_avoided(now),
                      target.has_its_share(), target.busy(), target.open);
  };
  BackendTarget* best = nullptr;
  for (const auto& target : targets_) {
    if (!target->MayDial(now)) continue;
    if (best == nullptr || rank(*target) < rank(*best)) best = target.get();
  }
  return best;
}

BackendTarget* BackendTargets::DueForProbe(io::Time now) const {
  for (const auto& target : targets_) {
    const bool is_unknown = !target->capabilities.has_value();
    const bool is_due = target->is_down() || is_unknown;
    if (is_due && target->dialing == 0 && target->MayDial(now)) {
      return target.get();
    }
  }
  return nullptr;
}

BackendTarget* BackendTargets::LessBusyThan(const BackendTarget& target,
                                            io::Time now) const {
  for (const auto& other : targets_) {
    const bool is_free = !other->is_down() && !other->is_avoided(now) &&
                         !other->has_its_share() && other->dialing == 0;
    if (is_free && other->busy() < target.busy()) return other.get();
  }
  return nullptr;
}

bool BackendTargets::all_down() const {
  return std::all_of(targets_.begin(), targets_.end(),
                     [](const auto& target) { return target->is_down(); });
}

io::Time BackendTargets::NextRetry(io::Time now) const {
  io::Time next = io::kNever;
  for (const auto& target : targets_) {
    if (!target->is_down() || target->retry_at() <= now) continue;
    next = std::min(next, target->retry_at());
  }
  return next;
}

std::optional<smtp::EhloCapabilities> BackendTargets::CommonCapabilities()
    const {
  std::optional<smtp::EhloCapabilities> common;
  for (const auto& target : targets_) {
    if (!target->capabilities.has_value()) continue;
    common = common.has_value()
                 ? smtp::CommonCapabilities(*common, *target->capabilities)
                 : *target->capabilities;
  }
  return common;
}

}  // namespace tlspost
