// RecentRefusals: the last refusals that one worker's clients have heard, for
// the administrator to look at.
//
// A ring of fixed size that one thread writes; counts nothing. It never holds
// what a client said but its HELO name.

#ifndef TLSPOST_PROXY_RECENT_REFUSALS_H_
#define TLSPOST_PROXY_RECENT_REFUSALS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "common/io/time.h"
#include "proxy/fixed_text.h"

namespace tlspost {

struct Refusal {
  int64_t time_s = 0;     // since 1970
  FixedText<48> client;   // its address
  FixedText<64> helo;     // raw; empty: none yet
  FixedText<12> command;  // "RCPT"; empty: at the arrival
  FixedText<160> reply;   // its first line, raw
};

class RecentRefusals {
 public:
  static constexpr size_t kKept = 64;

  void Note(io::WallTime now, std::string_view client, std::string_view helo,
            std::string_view command, std::string_view reply);

  // The oldest first.
  std::vector<Refusal> All() const;

 private:
  std::array<Refusal, kKept> ring_;
  uint64_t noted_ = 0;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_RECENT_REFUSALS_H_
