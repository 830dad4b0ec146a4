// Ledger: what a sink has taken, for whoever sent it to compare.
//
// Filled by all of a sink's workers, read by a control connection as text:
//
//   SEQUENCE BODY ENVELOPE      a message of the run, one line each time it
//                               was taken; fingerprints in hex
//   END N U O                   N lines of this run; of all that was taken, U
//                               messages had no (or no single) mark, and O
//                               were beyond the ledger's limit
//
// Bounded by its limit. Judges nothing: ledger_check.h does.

#ifndef TLSPOST_BENCH_VERIFY_LEDGER_H_
#define TLSPOST_BENCH_VERIFY_LEDGER_H_

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace tlspost::verify {

struct LedgerEntry {
  uint64_t run = 0;
  uint64_t sequence = 0;
  uint64_t body = 0;
  uint64_t envelope = 0;
};

// What one run finds in a ledger.
struct LedgerPage {
  std::vector<LedgerEntry> entries;
  uint64_t unmarked = 0;
  uint64_t over_limit = 0;
};

class Ledger {
 public:
  explicit Ledger(size_t limit) : limit_(limit) {}

  // From any thread.
  void Add(const LedgerEntry& entry);
  void AddUnmarked();
  LedgerPage PageOf(uint64_t run) const;

 private:
  const size_t limit_;
  mutable std::mutex mutex_;
  LedgerPage all_;  // guarded by mutex_
};

std::string FormatLedgerLine(const LedgerEntry& entry);
std::string FormatLedgerEnd(const LedgerPage& page);

// Reads the text of a page; an error when it is not whole.
absl::StatusOr<LedgerPage> ParseLedgerPage(std::string_view text, uint64_t run);

}  // namespace tlspost::verify

#endif  // TLSPOST_BENCH_VERIFY_LEDGER_H_
