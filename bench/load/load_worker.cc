#include "bench/load/load_worker.h"

#include <chrono>
#include <optional>
#include <utility>

#include "bench/measure/clock.h"
#include "common/io/engine.h"

namespace tlspost::load {
namespace {

using std::chrono_literals::operator""ms;

// How often a worker looks whether the run is over.
constexpr io::Duration kWatchInterval = 20ms;
// After a session that failed: a server that refuses is not hammered.
constexpr io::Duration kAfterFailure = 50ms;

}  // namespace

// All that needs the loop, and goes before it.
class LoadWorker::Clients {
 public:
  Clients(LoadWorker& worker, io::Loop& loop,
          std::shared_ptr<tls::TlsContext> tls)
      : plan_(worker.plan_),
        budget_(worker.budget_),
        index_(worker.index_),
        loop_(loop),
        results_(worker.results_),
        services_{loop, plan_, budget_, worker.results_, std::move(tls)},
        tasks_(loop) {}

  void Start() {
    const LoadOptions& options = plan_.options;
    const double rate = options.rate + options.session_rate;
    if (rate > 0) {
      const Schedule schedule(rate / static_cast<double>(options.threads),
                              options.arrivals, measure::NowExactly(),
                              plan_.run + static_cast<uint64_t>(index_));
      pacer_ = std::make_unique<Pacer>(loop_, schedule);
    }
    if (options.rate > 0) services_.message_pacer = pacer_.get();
    for (int64_t i = index_; i < options.clients; i += options.threads) {
      tasks_.Spawn(RunClient(i));
    }
    if (options.warm_up > io::Duration(0)) tasks_.Spawn(WarmUp());
    tasks_.Spawn(Watch());
  }

  uint64_t missed() const {
    // What was due behind the last that was asked for is nobody's.
    if (pacer_ == nullptr || budget_.exhausted()) return 0;
    return pacer_->missed();
  }

 private:
  Task<void> RunClient(int64_t number) {
    const LoadOptions& options = plan_.options;
    ++running_;
    const io::Time start =
        loop_.Now() + options.ramp * number / options.clients;
    co_await io::SleepOp(loop_, start);
    std::unique_ptr<tls::TlsSession> ticket;
    while (!budget_.stopped()) {
      io::Time due = measure::NowExactly();
      if (options.session_rate > 0) {
        const auto slot = co_await pacer_->Next();
        if (!slot.has_value()) break;
        due = *slot;
      }
      if (!budget_.TakeSession()) break;
      co_await RunSession(due, ticket);
    }
    --running_;
  }

  Task<void> RunSession(io::Time due,
                        std::unique_ptr<tls::TlsSession>& ticket) {
    ++budget_.open;
    absl::Status ended;
    {
      LoadSession session(services_, ticket);
      ended = co_await session.Run();
    }
    --budget_.open;
    if (ended.ok()) {
      services_.results.Took(Phase::kSession, measure::NowExactly() - due);
      ++services_.results.sessions;
      ++budget_.sessions;
    } else if (!budget_.stopped()) {
      co_await io::SleepOp(loop_, loop_.Now() + kAfterFailure);
    }
  }

  Task<void> WarmUp() {
    const io::Time end = loop_.Now() + plan_.options.warm_up;
    co_await io::SleepOp(loop_, end);
    results_.StartOver();
  }

  // Ends the loop when all clients have ended.
  Task<void> Watch() {
    while (running_ > 0) {
      const bool over = budget_.stopped() || budget_.exhausted();
      if (over && pacer_ != nullptr) pacer_->End();
      co_await io::SleepOp(loop_, loop_.Now() + kWatchInterval);
    }
    loop_.Stop();
  }

  const LoadPlan& plan_;
  Budget& budget_;
  const int64_t index_;
  io::Loop& loop_;
  Results& results_;
  SessionServices services_;
  std::unique_ptr<Pacer> pacer_;  // null: a closed loop
  int64_t running_ = 0;
  io::TaskGroup tasks_;
};

absl::Status LoadWorker::Run() {
  absl::StatusOr<std::unique_ptr<io::Loop>> loop = MakeLoop();
  if (!loop.ok()) return loop.status();
  absl::StatusOr<std::shared_ptr<tls::TlsContext>> tls = MakeTls();
  if (!tls.ok()) return tls.status();
  Clients clients(*this, **loop, *std::move(tls));
  clients.Start();
  (*loop)->Run();
  results_.missed = clients.missed();
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<io::Loop>> LoadWorker::MakeLoop() const {
  // Each thread has source addresses of its own, or their ports collide.
  std::vector<io::Endpoint> sources;
  const size_t step = static_cast<size_t>(plan_.options.threads);
  for (size_t i = static_cast<size_t>(index_); i < plan_.sources.size();
       i += step) {
    sources.push_back(plan_.sources[i]);
  }
  io::LoopOptions options;
  options.connect_from = sources;
  return io::CreateLoop(io::EngineChoice::kAuto, options);
}

absl::StatusOr<std::shared_ptr<tls::TlsContext>> LoadWorker::MakeTls() const {
  const LoadOptions& options = plan_.options;
  if (options.tls == TlsMode::kNone) return std::shared_ptr<tls::TlsContext>();
  tls::ClientTlsOptions wanted;
  if (options.tls_version == TlsVersions::kTls12) {
    wanted.max_version = tls::TlsVersion::kTls12;
  }
  if (options.tls_version == TlsVersions::kTls13) {
    wanted.min_version = tls::TlsVersion::kTls13;
  }
  wanted.ciphers = options.ciphers;
  wanted.ciphersuites = options.ciphersuites;
  wanted.groups = options.groups;
  return tls::TlsContext::CreateClient(wanted);
}

}  // namespace tlspost::load
