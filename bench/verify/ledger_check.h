// Whether what was sent is what was taken: none lost, doubled, changed, mixed
// or invented.

#ifndef TLSPOST_BENCH_VERIFY_LEDGER_CHECK_H_
#define TLSPOST_BENCH_VERIFY_LEDGER_CHECK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "bench/verify/ledger.h"

namespace tlspost::verify {

// What the client was told about a message.
enum class Outcome : uint8_t {
  kRefused,   // a reply of 4xx or 5xx, or its end was never sent
  kAccepted,  // 250 to its end
  kUnsure,    // its end was sent and nobody knows: no reply came, or the one
              // that says so (451 4.4.2)
};

struct SentMessage {
  uint64_t sequence = 0;
  uint64_t body = 0;
  uint64_t envelope = 0;
  Outcome outcome = Outcome::kRefused;
};

struct Verdict {
  uint64_t accepted = 0;  // by what clients were told
  uint64_t refused = 0;
  uint64_t unsure = 0;
  uint64_t unsure_taken = 0;  // of these, how many the sink has: no fault

  uint64_t lost = 0;        // accepted, and the sink does not have it
  uint64_t doubled = 0;     // the sink has it more than once
  uint64_t changed = 0;     // not the octets that were sent
  uint64_t mixed = 0;       // not its own sender and recipients
  uint64_t invented = 0;    // nobody sent it, or its client was refused
  uint64_t unmarked = 0;    // the sink has messages that it cannot tell
  uint64_t over_limit = 0;  // the ledger was full: nothing is proved

  std::vector<std::string> examples;  // of faults, the first few

  bool ok() const {
    return lost + doubled + changed + mixed + invented + unmarked +
               over_limit ==
           0;
  }
};

inline constexpr size_t kMaxExamples = 10;

Verdict CheckLedger(const std::vector<SentMessage>& sent,
                    const LedgerPage& page);

}  // namespace tlspost::verify

#endif  // TLSPOST_BENCH_VERIFY_LEDGER_CHECK_H_
