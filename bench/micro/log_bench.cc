// The log: what all workers share.
//
// BM_LogLine is a worker's part, handing a line over, alone or beside others;
// BM_LogWriter the one thread's that writes them. A process cannot do more
// lines in a second than the latter says.

#include <benchmark/benchmark.h>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/check.h"
#include "proxy/log.h"

namespace tlspost {
namespace {

// As long as that of a transaction.
constexpr std::string_view kLine =
    "4f1ZkQ: client=mail.example.org[192.0.2.1], from=<sender@example.org>, "
    "to=<recipient@example.net>, size=4096, nrcpt=1, tls=TLSv1.3, "
    "relay=127.0.0.1:2525, delay=0.01, status=sent (250 2.0.0 Ok: queued)";

std::unique_ptr<Log> NewLog(const std::string& file) {
  auto log = OpenLog({.file = file,
                      .syslog_name = "tlspost",
                      .hostname = "mx.example",
                      .queue_lines = 65536});
  TLSPOST_CHECK(log.ok());
  return *std::move(log);
}

// The lines that find the queue full push out others and cost the same.
void BM_LogLine(benchmark::State& state) {
  static std::unique_ptr<Log> log;
  if (state.thread_index() == 0) log = NewLog("/dev/null");
  for (auto _ : state) log->Info(kLine);
  state.SetItemsProcessed(state.iterations());
  if (state.thread_index() == 0) log.reset();
}
BENCHMARK(BM_LogLine)->ThreadRange(1, 4)->UseRealTime();

// From the first line until all have been written.
void BM_LogWriter(benchmark::State& state) {
  constexpr int kLines = 50'000;  // fewer than fit the queue
  const std::string file =
      std::filesystem::temp_directory_path() / "tlspost-log-bench";
  for (auto _ : state) {
    const std::unique_ptr<Log> log = NewLog(file);
    for (int i = 0; i < kLines; ++i) log->Info(kLine);
    TLSPOST_CHECK(log->dropped() == 0);
  }
  state.SetItemsProcessed(state.iterations() * kLines);
  std::filesystem::remove(file);
}
BENCHMARK(BM_LogWriter)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tlspost
