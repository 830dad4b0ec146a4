// LoadWorker: one thread's share of the clients, on a ring of its own.

#ifndef TLSPOST_BENCH_LOAD_LOAD_WORKER_H_
#define TLSPOST_BENCH_LOAD_LOAD_WORKER_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "bench/load/load_plan.h"
#include "bench/load/load_session.h"
#include "bench/load/pacer.h"
#include "bench/load/results.h"
#include "common/base/task.h"
#include "common/io/loop.h"
#include "common/io/task_group.h"

namespace tlspost::load {

class LoadWorker {
 public:
  // `index` of so many threads; both references outlive it.
  LoadWorker(const LoadPlan& plan, Budget& budget, int64_t index)
      : plan_(plan), budget_(budget), index_(index) {}

  // Plays all clients to their end, on the calling thread. Error: why nothing
  // could be begun.
  absl::Status Run();

  const Results& results() const { return results_; }

 private:
  class Clients;

  absl::StatusOr<std::unique_ptr<io::Loop>> MakeLoop() const;
  absl::StatusOr<std::shared_ptr<tls::TlsContext>> MakeTls() const;

  const LoadPlan& plan_;
  Budget& budget_;
  const int64_t index_;
  Results results_;
};

}  // namespace tlspost::load

#endif  // TLSPOST_BENCH_LOAD_LOAD_WORKER_H_
