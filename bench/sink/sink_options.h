// What tlspost-sink can be asked for. Plain values; declared once, in the .cc.

#ifndef TLSPOST_BENCH_SINK_SINK_OPTIONS_H_
#define TLSPOST_BENCH_SINK_SINK_OPTIONS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench/cli/option_table.h"
#include "proxy/demo/sink_mta.h"

namespace tlspost {

struct SinkOptions {
  std::string listen = "127.0.0.1:2525";
  std::string control;
  int64_t workers = 1;
  SinkMta::Xclient xclient = SinkMta::Xclient::kMany;
  bool pipelining = true;
  bool chunking = true;
  bool starttls = false;
  std::vector<std::string> faults;
  int64_t ledger_limit = 2'000'000;
};

// Lets `table` read and explain `options`.
void Describe(SinkOptions& options, cli::OptionTable& table);

extern const std::string_view kSinkUsage;

}  // namespace tlspost

#endif  // TLSPOST_BENCH_SINK_SINK_OPTIONS_H_
