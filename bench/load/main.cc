// tlspost-load: the load generator. Options, threads, progress, the end.

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "bench/cli/option_table.h"
#include "bench/load/ledger_client.h"
#include "bench/load/load_options.h"
#include "bench/load/load_plan.h"
#include "bench/load/load_worker.h"
#include "bench/load/report.h"
#include "bench/load/results.h"
#include "bench/measure/clock.h"
#include "common/base/status.h"
#include "proxy/signals.h"

namespace tlspost::load {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

constexpr io::Duration kProgressInterval = 1s;
constexpr io::Duration kPollInterval = 10ms;
// Descriptors for other things than connections.
constexpr rlim_t kSpareDescriptors = 100;

int Fail(std::string_view message, int status) {
  std::fprintf(stderr, "tlspost-load: %.*s\n", static_cast<int>(message.size()),
               message.data());
  return status;
}

double Seconds(io::Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

absl::Status RaiseDescriptorLimit(int64_t clients) {
  rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t wanted = static_cast<rlim_t>(clients) + kSpareDescriptors;
  if (limit.rlim_cur >= wanted) return absl::OkStatus();
  limit.rlim_cur = wanted;
  if (wanted <= limit.rlim_max && setrlimit(RLIMIT_NOFILE, &limit) == 0) {
    return absl::OkStatus();
  }
  return absl::ResourceExhaustedError(absl::StrFormat(
      "--clients=%d needs %d descriptors and only %d are allowed; raise the "
      "limit (ulimit -n)",
      clients, wanted, limit.rlim_max));
}

double ProcessorSeconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) +
           static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// The threads, and the clock over them.
class LoadRun {
 public:
  explicit LoadRun(const LoadPlan& plan)
      : plan_(plan),
        budget_(plan.options.count, plan.options.sessions),
        running_(static_cast<size_t>(plan.options.threads)) {}

  void Stop() { budget_.Stop(); }

  absl::Status Run() {
    begin_ = measure::NowExactly();
    for (int64_t i = 0; i < plan_.options.threads; ++i) {
      workers_.push_back(std::make_unique<LoadWorker>(plan_, budget_, i));
      threads_.emplace_back([this, &worker = *workers_.back()] {
        const absl::Status status = worker.Run();
        const std::lock_guard<std::mutex> lock(mutex_);
        if (!status.ok()) failure_ = status;
        --running_;
      });
    }
    Watch();
    for (std::thread& thread : threads_) thread.join();
    const io::Duration took = measure::NowExactly() - begin_;
    seconds_ = Seconds(std::max(took - plan_.options.warm_up, io::Duration(0)));
    for (const auto& worker : workers_) results_.Merge(worker->results());
    return failure_;
  }

  const Results& results() const { return results_; }
  double seconds() const { return seconds_; }

 private:
  size_t Running() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!failure_.ok()) budget_.Stop();
    return running_;
  }

  void Watch() {
    const io::Duration duration = plan_.options.duration;
    io::Time next_line = begin_ + kProgressInterval;
    while (Running() > 0) {
      std::this_thread::sleep_for(kPollInterval);
      const io::Time now = measure::NowExactly();
      if (duration > io::Duration(0) && now - begin_ >= duration) {
        budget_.Stop();
      }
      if (now < next_line || plan_.options.quiet) continue;
      PrintProgress(now);
      next_line += kProgressInterval;
    }
  }

  void PrintProgress(io::Time now) {
    const uint64_t messages = budget_.messages;
    const uint64_t sessions = budget_.sessions;
    const double seconds = Seconds(now - last_line_);
    const double since =
        last_line_ == io::Time() ? Seconds(now - begin_) : seconds;
    std::fprintf(stderr,
                 "%6.1f s  %8.0f messages/s  %8.0f sessions/s  %6lld open  "
                 "%llu errors\n",
                 Seconds(now - begin_),
                 static_cast<double>(messages - last_messages_) / since,
                 static_cast<double>(sessions - last_sessions_) / since,
                 static_cast<long long>(budget_.open),
                 static_cast<unsigned long long>(budget_.errors));
    last_line_ = now;
    last_messages_ = messages;
    last_sessions_ = sessions;
  }

  const LoadPlan& plan_;
  Budget budget_;
  io::Time begin_;
  double seconds_ = 0;
  Results results_;
  std::vector<std::unique_ptr<LoadWorker>> workers_;
  std::vector<std::thread> threads_;
  io::Time last_line_;
  uint64_t last_messages_ = 0;
  uint64_t last_sessions_ = 0;
  std::mutex mutex_;
  size_t running_;        // guarded by mutex_
  absl::Status failure_;  // guarded by mutex_
};

absl::StatusOr<verify::Verdict> Verify(const LoadPlan& plan,
                                       const verify::LedgerPage& before,
                                       const Results& results) {
  auto page = FetchLedger(plan.options.verify, plan.run);
  if (!page.ok()) return page.status();
  page->unmarked -= before.unmarked;
  page->over_limit -= before.over_limit;
  return verify::CheckLedger(results.sent, *page);
}

bool Print(const RunSummary& run) {
  const std::string& file = run.options.json;
  if (file != "-") std::fputs(FormatTable(run).c_str(), stdout);
  if (file.empty()) return true;
  std::FILE* out = file == "-" ? stdout : std::fopen(file.c_str(), "w");
  if (out == nullptr) return false;
  const bool written = std::fputs(FormatJson(run).c_str(), out) >= 0;
  const bool closed =
      (out == stdout ? std::fflush(out) : std::fclose(out)) == 0;
  return written && closed;
}

int Load(const LoadPlan& plan, SignalWatcher& signals) {
  const LoadOptions& options = plan.options;
  verify::LedgerPage before;
  if (!options.verify.empty()) {
    auto page = FetchLedger(options.verify, plan.run);
    if (!page.ok()) return Fail(MessageOf(page.status()), 1);
    before = *std::move(page);
  }
  LoadRun run(plan);
  signals.Start([&run](int) { run.Stop(); });
  const absl::Status ran = run.Run();
  signals.Stop();
  if (!ran.ok()) return Fail(MessageOf(ran), 1);
  RunSummary summary{options, run.results(), run.seconds(), ProcessorSeconds(),
                     std::nullopt};
  if (!options.verify.empty()) {
    auto verdict = Verify(plan, before, run.results());
    if (!verdict.ok()) return Fail(MessageOf(verdict.status()), 1);
    summary.verdict = *std::move(verdict);
  }
  if (!Print(summary)) return Fail("cannot write " + options.json, 1);
  const bool proved = !summary.verdict.has_value() || summary.verdict->ok();
  return proved && run.results().error_count() == 0 ? 0 : 1;
}

int Main(std::span<const char* const> args) {
  LoadOptions options;
  cli::OptionTable table;
  Describe(options, table);
  for (const std::string_view arg : args) {
    if (arg != "--help" && arg != "-h") continue;
    std::fputs(table.Help(kLoadUsage).c_str(), stdout);
    return 0;
  }
  const absl::Status parsed = table.Parse(args);
  if (!parsed.ok()) return Fail(MessageOf(parsed), 2);
  const absl::StatusOr<LoadPlan> plan = LoadPlan::Make(options);
  if (!plan.ok()) return Fail(MessageOf(plan.status()), 2);
  const absl::Status raised = RaiseDescriptorLimit(plan->options.clients);
  if (!raised.ok()) return Fail(MessageOf(raised), 1);
  SignalWatcher signals;
  return Load(*plan, signals);
}

}  // namespace
}  // namespace tlspost::load

int main(int argc, char** argv) {
  const std::span<const char* const> args(argv, static_cast<size_t>(argc));
  return tlspost::load::Main(args.subspan(1));
}
