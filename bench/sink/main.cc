// tlspost-sink: the null MTA behind a proxy under load. Options, threads, end.

#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "bench/cli/option_table.h"
#include "bench/sink/fault_plan.h"
#include "bench/sink/sink_options.h"
#include "bench/sink/sink_worker.h"
#include "bench/verify/ledger.h"
#include "common/base/status.h"
#include "common/io/endpoint.h"
#include "common/io/engine.h"
#include "proxy/signals.h"

namespace tlspost {
namespace {

int Fail(std::string_view message) {
  std::fprintf(stderr, "tlspost-sink: %.*s\n", static_cast<int>(message.size()),
               message.data());
  return 1;
}

absl::StatusOr<io::Endpoint> ResolveOne(std::string_view text) {
  auto endpoints = io::ResolveEndpoints(text);
  if (!endpoints.ok()) return endpoints.status();
  return endpoints->front();
}

class Sink {
 public:
  Sink(const SinkOptions& options, FaultPlan faults)
      : options_(options),
        faults_(std::move(faults)),
        ledger_(static_cast<size_t>(options.ledger_limit)) {}

  // Starts one worker after the other, so that all have the first one's port.
  absl::Status Start() {
    auto endpoint = ResolveOne(options_.listen);
    if (!endpoint.ok()) return endpoint.status();
    listen_ = *endpoint;
    if (!options_.control.empty()) {
      auto control = ResolveOne(options_.control);
      if (!control.ok()) return control.status();
      control_ = *control;
    }
    for (int64_t i = 0; i < options_.workers; ++i) {
      threads_.emplace_back([this, i] { RunWorker(i == 0); });
      std::unique_lock<std::mutex> lock(mutex_);
      started_.wait(
          lock, [&] { return running_.size() > size_t(i) || !failure_.ok(); });
      if (!failure_.ok()) break;
    }
    if (!failure_.ok()) Stop();
    return failure_;
  }

  // From any thread; the workers end by themselves.
  void Stop() {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const Running& each : running_) {
      each.loop->PostRemote([worker = each.worker] { worker->Stop(); });
    }
  }

  void Join() {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  const io::Endpoint& listen() const { return listen_; }
  const std::optional<io::Endpoint>& control() const { return control_; }
  const SinkCounts& counts() const { return counts_; }

 private:
  struct Running {
    io::Loop* loop;
    SinkWorker* worker;
  };

  void RunWorker(bool first) {
    io::LoopOptions options;
    options.receive_buffers = 4096;  // bulk comes faster than it is looked at
    auto loop = io::CreateLoop(io::EngineChoice::kAuto, options);
    if (!loop.ok()) return Failed(loop.status());
    SinkWorker worker(**loop, options_, faults_,
                      control_.has_value() ? &ledger_ : nullptr, counts_);
    absl::Status listens = worker.Listen(listen_);
    if (listens.ok() && first) {
      listen_ = worker.local();
      if (control_.has_value()) {
        listens = worker.ListenForControl(*control_);
        if (listens.ok()) control_ = worker.control();
      }
    }
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      failure_ = listens;
      running_.push_back({loop->get(), &worker});
    }
    started_.notify_one();
    (*loop)->Run();
    const std::lock_guard<std::mutex> lock(mutex_);
    std::erase_if(running_,
                  [&](const Running& each) { return each.worker == &worker; });
  }

  void Failed(const absl::Status& status) {
    const std::lock_guard<std::mutex> lock(mutex_);
    failure_ = status;
    started_.notify_one();
  }

  const SinkOptions& options_;
  const FaultPlan faults_;
  io::Endpoint listen_;
  std::optional<io::Endpoint> control_;
  verify::Ledger ledger_;
  SinkCounts counts_;
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable started_;
  std::vector<Running> running_;  // guarded by mutex_
  absl::Status failure_;          // guarded by mutex_
};

int Serve(const SinkOptions& options) {
  absl::StatusOr<FaultPlan> faults = FaultPlan::Parse(options.faults);
  if (!faults.ok())
    return Fail("--fault: " + std::string(MessageOf(faults.status())));
  SignalWatcher signals;
  Sink sink(options, *std::move(faults));
  const absl::Status started = sink.Start();
  if (!started.ok()) {
    sink.Join();
    return Fail(MessageOf(started));
  }
  std::printf("tlspost-sink takes mail on %s",
              sink.listen().ToString().c_str());
  if (sink.control().has_value()) {
    std::printf(" and tells of it on %s", sink.control()->ToString().c_str());
  }
  std::printf("\n");
  std::fflush(stdout);
  signals.Start([&](int) { sink.Stop(); });
  sink.Join();
  signals.Stop();
  const SinkCounts& counts = sink.counts();
  std::printf(
      "%llu connections, %llu messages for %llu recipients, %llu octets\n",
      static_cast<unsigned long long>(counts.connections.load()),
      static_cast<unsigned long long>(counts.messages.load()),
      static_cast<unsigned long long>(counts.recipients.load()),
      static_cast<unsigned long long>(counts.octets.load()));
  return 0;
}

int Main(std::span<const char* const> args) {
  SinkOptions options;
  cli::OptionTable table;
  Describe(options, table);
  for (const std::string_view arg : args) {
    if (arg != "--help" && arg != "-h") continue;
    std::fputs(table.Help(kSinkUsage).c_str(), stdout);
    return 0;
  }
  const absl::Status parsed = table.Parse(args);
  if (!parsed.ok()) {
    Fail(MessageOf(parsed));
    return 2;
  }
  return Serve(options);
}

}  // namespace
}  // namespace tlspost

int main(int argc, char** argv) {
  const std::span<const char* const> args(argv, static_cast<size_t>(argc));
  return tlspost::Main(args.subspan(1));
}
