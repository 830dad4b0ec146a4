// StatusHistory: what the process did in the last hour, sampled now and then,
// in bounded memory.
//
// It is given snapshots and keeps what changed between them; asks nobody and
// reads no clock.

#ifndef TLSPOST_PROXY_STATUS_HISTORY_H_
#define TLSPOST_PROXY_STATUS_HISTORY_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>

#include "common/io/time.h"
#include "proxy/counters.h"

namespace tlspost {

// What happened between two looks.
struct StatusSample {
  int64_t time_s = 0;  // of the second look; since 1970
  int64_t sessions = 0;
  int64_t messages = 0;  // accepted
  int64_t refused = 0;   // messages that were not
  // Of the messages accepted, from MAIL to the reply; 0: there were none.
  double p50_ms = 0;
  double p95_ms = 0;
};

class StatusHistory {
 public:
  static constexpr io::Duration kInterval = std::chrono::seconds(10);
  static constexpr size_t kSamples = 360;  // an hour
  // Whole counters are kept of every sixth look only: they are large.
  static constexpr size_t kLooksPerMark = 6;
  static constexpr size_t kMarks = kSamples / kLooksPerMark + 1;

  // `counters` have grown from those given before.
  void Add(const Counters& counters, int64_t now_s);

  const std::deque<StatusSample>& samples() const { return samples_; }

  // What has happened in the last `looks` times kInterval, as well as the marks
  // tell: never less, if so long has passed at all.
  using Phases = decltype(Counters::phases);
  using LimitsHit = decltype(Counters::limits_hit);
  Phases PhasesSince(size_t looks) const;
  LimitsHit LimitsSince(size_t looks) const;

 private:
  struct Mark {
    Phases phases;
    LimitsHit limits;
  };
  const Mark& MarkBefore(size_t looks) const;

  Counters last_;
  std::deque<StatusSample> samples_;
  // The first is from before all samples, or of the process's beginning.
  std::deque<Mark> marks_ = {Mark()};
  size_t looks_since_mark_ = 0;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_STATUS_HISTORY_H_
