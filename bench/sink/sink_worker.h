// SinkWorker: one thread's share of a sink, with a ring of its own.
//
// Counts and fingerprints what its SinkMta takes. The counters may be read
// from any thread.

#ifndef TLSPOST_BENCH_SINK_SINK_WORKER_H_
#define TLSPOST_BENCH_SINK_SINK_WORKER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "bench/sink/control_server.h"
#include "bench/sink/fault_plan.h"
#include "bench/sink/sink_options.h"
#include "bench/verify/ledger.h"
#include "common/io/endpoint.h"
#include "common/io/loop.h"
#include "common/io/task_group.h"
#include "proxy/demo/sink_mta.h"

namespace tlspost {

struct SinkCounts {
  std::atomic<uint64_t> connections = 0;
  std::atomic<uint64_t> messages = 0;
  std::atomic<uint64_t> recipients = 0;
  std::atomic<uint64_t> octets = 0;
};

class SinkWorker {
 public:
  // `loop` belongs to the calling thread. `ledger` may be null; it and
  // `counts` outlive the worker and may be shared.
  SinkWorker(io::Loop& loop, const SinkOptions& options, FaultPlan faults,
             verify::Ledger* ledger, SinkCounts& counts);
  ~SinkWorker();

  absl::Status Listen(const io::Endpoint& endpoint);
  io::Endpoint local() const { return sink_.local(); }
  // Serves the ledger and the counts, too.
  absl::Status ListenForControl(const io::Endpoint& endpoint);
  io::Endpoint control() const { return control_->local(); }

  // Closes everything, then stops the loop. Call it on the loop's thread.
  void Stop();

 private:
  Task<void> StopAll();
  void Take(const SinkMta::Message& message);

  io::Loop& loop_;
  FaultPlan faults_;
  verify::Ledger* const ledger_;
  SinkCounts& counts_;
  SinkMta sink_;
  std::unique_ptr<SinkControlServer> control_;
  bool stopping_ = false;
  io::TaskGroup tasks_;
};

}  // namespace tlspost

#endif  // TLSPOST_BENCH_SINK_SINK_WORKER_H_
