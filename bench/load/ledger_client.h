// Asks a tlspost-sink for its ledger. Blocks; for before and after a run.

#ifndef TLSPOST_BENCH_LOAD_LEDGER_CLIENT_H_
#define TLSPOST_BENCH_LOAD_LEDGER_CLIENT_H_

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "bench/verify/ledger.h"

namespace tlspost::load {

// The page of `run` from the sink's --control at `address`. Error: one line
// that names the address and what is wrong.
absl::StatusOr<verify::LedgerPage> FetchLedger(std::string_view address,
                                               uint64_t run);

}  // namespace tlspost::load

#endif  // TLSPOST_BENCH_LOAD_LEDGER_CLIENT_H_
