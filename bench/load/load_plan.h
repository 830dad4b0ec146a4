// What all threads of the load generator share: the plan, which nobody
// changes, and the few counters that they change together.

#ifndef TLSPOST_BENCH_LOAD_LOAD_PLAN_H_
#define TLSPOST_BENCH_LOAD_LOAD_PLAN_H_

#include <atomic>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/load/load_options.h"
#include "bench/load/message_text.h"
#include "bench/measure/size_distribution.h"
#include "common/io/endpoint.h"

namespace tlspost::load {

struct LoadPlan {
  // The error names the option that is wrong, or the server that may not be
  // loaded.
  static absl::StatusOr<LoadPlan> Make(const LoadOptions& options);

  LoadOptions options;
  io::Endpoint server;
  std::vector<io::Endpoint> sources;  // empty: the kernel's choice
  measure::SizeDistribution sizes;
  MessageText text;
  uint64_t run = 0;
};

// How much may still be begun, and what has happened so far.
class Budget {
 public:
  // 0: no limit.
  Budget(int64_t messages, int64_t sessions)
      : limits_messages_(messages > 0),
        limits_sessions_(sessions > 0),
        messages_left_(messages),
        sessions_left_(sessions) {}

  // Begin nothing new.
  void Stop() { stopped_ = true; }
  bool stopped() const { return stopped_; }

  // Whether one more may begin.
  bool TakeMessage() { return Take(limits_messages_, messages_left_); }
  bool TakeSession() {
    return !exhausted() && Take(limits_sessions_, sessions_left_);
  }
  // No message, or no session, is left to be begun.
  bool exhausted() const {
    return (limits_messages_ && messages_left_ <= 0) ||
           (limits_sessions_ && sessions_left_ <= 0);
  }
  uint64_t NextSequence() { return next_sequence_++; }

  // For the progress line.
  std::atomic<uint64_t> messages = 0;
  std::atomic<uint64_t> sessions = 0;
  std::atomic<uint64_t> errors = 0;
  std::atomic<int64_t> open = 0;  // connections

 private:
  bool Take(bool limited, std::atomic<int64_t>& left) {
    if (stopped_) return false;
    return !limited || left-- > 0;
  }

  const bool limits_messages_;
  const bool limits_sessions_;
  std::atomic<int64_t> messages_left_;
  std::atomic<int64_t> sessions_left_;
  std::atomic<uint64_t> next_sequence_ = 1;
  std::atomic<bool> stopped_ = false;
};

}  // namespace tlspost::load

#endif  // TLSPOST_BENCH_LOAD_LOAD_PLAN_H_
