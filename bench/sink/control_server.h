// SinkControlServer: answers one question per connection about a sink.
//
//   LEDGER RUN\n   the page of that run (16 hex digits), see verify/ledger.h
//   STATS\n        the counts, "NAME NUMBER" per line
//
// It never changes anything.

#ifndef TLSPOST_BENCH_SINK_CONTROL_SERVER_H_
#define TLSPOST_BENCH_SINK_CONTROL_SERVER_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "bench/verify/ledger.h"
#include "common/base/task.h"
#include "common/io/endpoint.h"
#include "common/io/listener.h"
#include "common/io/loop.h"
#include "common/io/task_group.h"

namespace tlspost {

class SinkControlServer {
 public:
  // Time that a connection may take to ask, and to take each piece of the
  // answer.
  static constexpr io::Duration kPatience = std::chrono::seconds(10);

  // `ledger` outlives it.
  SinkControlServer(io::Loop& loop, const verify::Ledger& ledger,
                    std::function<std::string()> counts)
      : loop_(loop),
        ledger_(ledger),
        counts_(std::move(counts)),
        tasks_(loop) {}

  absl::Status Listen(const io::Endpoint& endpoint);
  io::Endpoint local() const { return listener_->local(); }

  void Stop() { listener_->Close(); }
  Task<bool> Stopped(io::Time deadline) { return tasks_.Drained(deadline); }

 private:
  Task<void> AcceptAll();
  Task<void> Serve(std::unique_ptr<io::Stream> stream);
  Task<absl::Status> Answer(io::Stream& stream);
  Task<absl::Status> WritePage(io::Stream& stream, uint64_t run);

  io::Loop& loop_;
  const verify::Ledger& ledger_;
  const std::function<std::string()> counts_;
  std::unique_ptr<io::Listener> listener_;
  io::TaskGroup tasks_;
};

}  // namespace tlspost

#endif  // TLSPOST_BENCH_SINK_CONTROL_SERVER_H_
