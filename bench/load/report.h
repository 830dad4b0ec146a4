// What the load generator says at the end: a table for people, JSON for
// programs.

#ifndef TLSPOST_BENCH_LOAD_REPORT_H_
#define TLSPOST_BENCH_LOAD_REPORT_H_

#include <optional>
#include <string>

#include "bench/load/load_options.h"
#include "bench/load/results.h"
#include "bench/verify/ledger_check.h"

namespace tlspost::load {

struct RunSummary {
  const LoadOptions& options;
  const Results& results;
  double seconds = 0;            // from the first connect to the last close
  double processor_seconds = 0;  // what the load generator itself used
  std::optional<verify::Verdict> verdict;  // with --verify
};

std::string FormatTable(const RunSummary& run);

// {"seconds":..,"messages":..,"phases":{"connect":{"count":..,"p50_us":..,
// "buckets":[[us,count],..]},..},"errors":[..],"verify":{..}}
std::string FormatJson(const RunSummary& run);

}  // namespace tlspost::load

#endif  // TLSPOST_BENCH_LOAD_REPORT_H_
