// Whole sessions on the simulated transport: worker, session, pool, backend,
// without a kernel. The clients and the mail server of the simulated world are
// in the time as well; what differs between two sizes is what counts.

#include <benchmark/benchmark.h>

#include <string>
#include <utility>

#include "common/base/check.h"
#include "tests/sim/world.h"

namespace tlspost::sim {
namespace {

// A client with range(0) messages, from connect to close.
void BM_Session(benchmark::State& state, ClientTls tls) {
  for (auto _ : state) {
    state.PauseTiming();
    World world{WorldOptions()};
    ClientPlan plan = MakeClient(0, static_cast<int>(state.range(0)));
    plan.tls = tls;
    world.AddClient(std::move(plan));
    state.ResumeTiming();
    const std::string findings = world.Run();
    TLSPOST_CHECK(findings.empty());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK_CAPTURE(BM_Session, plaintext, ClientTls::kNone)->Arg(1)->Arg(101);
BENCHMARK_CAPTURE(BM_Session, tls13_resumed, ClientTls::kTls13)
    ->Arg(1)
    ->Arg(101);

}  // namespace
}  // namespace tlspost::sim
