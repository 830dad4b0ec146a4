#include "proxy/hop_limit.h"

namespace tlspost {

std::optional<smtp::Reply> RefuseHops(const smtp::HopCounter& hops,
                                      SessionServices& services) {
  const bool is_loop = hops.own_hops() >= services.settings.own_hopcount_limit;
  if (!is_loop && hops.hops() < services.settings.hopcount_limit) {
    return std::nullopt;
  }
  ++services.counters.mail_loops;
  ++services.counters.limits_hit[Limit::kHopcount];
  return is_loop ? smtp::reply::kMailLoop : smtp::reply::kTooManyHops;
}

}  // namespace tlspost
