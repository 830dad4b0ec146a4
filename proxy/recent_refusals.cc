// The ring.

#include "proxy/recent_refusals.h"

#include <algorithm>
#include <chrono>

#include "common/smtp/reply.h"

namespace tlspost {

void RecentRefusals::Note(io::WallTime now, std::string_view client,
                          std::string_view helo, std::string_view command,
                          std::string_view reply) {
  Refusal& refusal = ring_[noted_ % kKept];
  ++noted_;
  refusal.time_s =
      std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch())
          .count();
  refusal.client = FixedText<48>(client);
  refusal.helo = FixedText<64>(helo);
  refusal.command = FixedText<12>(command);
  refusal.reply = FixedText<160>(smtp::FirstLine(reply));
}

std::vector<Refusal> RecentRefusals::All() const {
  std::vector<Refusal> all;
  const uint64_t kept = std::min<uint64_t>(noted_, kKept);
  all.reserve(kept);
  for (uint64_t i = noted_ - kept; i < noted_; ++i) {
    all.push_back(ring_[i % kKept]);
  }
  return all;
}

}  // namespace tlspost
