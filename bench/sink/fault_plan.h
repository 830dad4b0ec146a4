// FaultPlan: what a sink does wrong on request, and when.
//
//   VERB:ACTION[:N]     at every N-th VERB (1: always), by each worker's count
//
//   VERB    CONNECT, EHLO, XCLIENT, MAIL, RCPT, DATA, END (of the message),
//           BDAT, RSET, QUIT
//   ACTION  delay=50ms   answers later (to the next 16 ms)
//           reject=450   refuses with this code, 400 to 599
//           421          says so and closes
//           drop         closes without a word
//           stall        never says anything again on this connection
//
// and, to see a verification fail:
//
//   MESSAGE:lose|double|change[:N]   a message that was taken is left out of
//                                    the ledger, put in twice, or altered

#ifndef TLSPOST_BENCH_SINK_FAULT_PLAN_H_
#define TLSPOST_BENCH_SINK_FAULT_PLAN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "absl/status/statusor.h"
#include "common/io/time.h"
#include "proxy/demo/sink_mta.h"

namespace tlspost {

enum class MessageFault : uint8_t { kNone, kLose, kDouble, kChange };

class FaultPlan {
 public:
  // The longest that a "delay" may be.
  static constexpr io::Duration kMaxDelay = std::chrono::minutes(1);

  // The error names the fault that is none, and why.
  static absl::StatusOr<FaultPlan> Parse(const std::vector<std::string>& texts);

  bool empty() const { return faults_.empty(); }

  // What to do instead of the normal answer; counts the event.
  std::optional<SinkMta::Misdeed> At(const SinkMta::Event& event);
  // What to do with a message that was taken; counts it.
  MessageFault AtMessage();

 private:
  struct Fault {
    std::string verb;
    SinkMta::Misdeed misdeed;
    bool stalls = false;
    MessageFault message_fault = MessageFault::kNone;
    int64_t every = 1;
    int64_t seen = 0;

    bool Strikes() { return ++seen % every == 0; }
  };

  static absl::StatusOr<Fault> ParseOne(std::string_view text);
  static bool ParseAction(std::string_view action, Fault& fault);

  std::vector<Fault> faults_;
  std::unordered_set<int> stalled_;  // connections
};

}  // namespace tlspost

#endif  // TLSPOST_BENCH_SINK_FAULT_PLAN_H_
