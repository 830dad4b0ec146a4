// A lease and its return: one connection that goes from borrower to borrower.
//
// For the same client nothing is said to the backend; for another one there is
// an XCLIENT, with the sink's answering in the time.

#include <benchmark/benchmark.h>

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/io/task_group.h"
#include "proxy/backend_pool.h"
#include "proxy/demo/sink_mta.h"
#include "proxy/worker.h"
#include "tests/sim/sim_loop.h"

namespace tlspost {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""s;

constexpr int kLeases = 100;  // between two looks at the clock

class NoLog final : public Log {
 protected:
  void Write(std::string_view /*level*/, std::string_view /*line*/) override {}
};

smtp::ClientIdentity Client(int number) {
  smtp::ClientIdentity client;
  client.address = "192.0.2." + std::to_string(number);
  client.port = 40000;
  client.helo = "client.example";
  return client;
}

std::shared_ptr<const Settings> PoolSettings() {
  auto settings = std::make_shared<Settings>();
  settings->backend_warm_spares = 0;
  settings->backend_max_uses = 1'000'000'000;
  return settings;
}

// One pool before one sink, in a simulated world without clients.
class Scene {
 public:
  Scene()
      : settings_(PoolSettings()),
        backend_(*io::Endpoint::FromIp("10.0.0.1", 10025)),
        sink_(loop_, SinkMta::Options()),
        shared_(*settings_, Addresses(), /*workers=*/1, log_),
        pool_(std::make_unique<BackendPool>(loop_, settings_, Addresses(),
                                            nullptr, shared_.slots,
                                            shared_.notes, log_, counters_)),
        tasks_(loop_) {
    TLSPOST_CHECK(sink_.Listen(backend_).ok());
  }

  ~Scene() {
    tasks_.Spawn(End());
    TLSPOST_CHECK(RunUntilIdle());
    sink_.Stop();
    loop_.RunUntil([this] { return sink_.stopped(); }, 1h);
    loop_.RunUntil([] { return false; }, 1s);
    pool_.reset();
  }

  void Lease(int clients) {
    tasks_.Spawn(LeaseAndReturn(clients));
    TLSPOST_CHECK(RunUntilIdle());
  }

 private:
  std::vector<BackendAddress> Addresses() const {
    return {{backend_.ToString(), backend_}};
  }

  bool RunUntilIdle() {
    return loop_.RunUntil([this] { return tasks_.size() == 0; }, 1h);
  }

  Task<void> LeaseAndReturn(int clients) {
    for (int i = 0; i < kLeases; ++i) {
      const Borrower borrower{clients_[static_cast<size_t>(i % clients)], "",
                              nullptr};
      BackendPool::Acquired acquired =
          co_await pool_->Acquire(borrower, io::kNever);
      TLSPOST_CHECK(static_cast<bool>(acquired.lease));
      acquired.lease.AtBoundary();
      acquired.lease.Return();
    }
  }

  Task<void> End() {
    const io::Time deadline = loop_.Now() + 1h;
    const bool ended = co_await pool_->Shutdown(deadline);
    TLSPOST_CHECK(ended);
  }

  const std::shared_ptr<const Settings> settings_;
  const io::Endpoint backend_;
  const std::array<smtp::ClientIdentity, 2> clients_ = {Client(1), Client(2)};
  NoLog log_;
  Counters counters_;
  sim::SimLoop loop_{1};
  SinkMta sink_;
  WorkerShared shared_;
  std::unique_ptr<BackendPool> pool_;
  io::TaskGroup tasks_;
};

void BM_LeaseAndReturn(benchmark::State& state, int clients) {
  Scene scene;
  scene.Lease(clients);  // connects, and learns what the backend offers
  for (auto _ : state) scene.Lease(clients);
  state.SetItemsProcessed(state.iterations() * kLeases);
}
BENCHMARK_CAPTURE(BM_LeaseAndReturn, same_client, 1);
BENCHMARK_CAPTURE(BM_LeaseAndReturn, other_client, 2);

}  // namespace
}  // namespace tlspost
