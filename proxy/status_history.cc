// The ring of samples.

#include "proxy/status_history.h"

#include <algorithm>

namespace tlspost {
namespace {

constexpr double kUsPerMs = 1000;

}  // namespace

void StatusHistory::Add(const Counters& counters, int64_t now_s) {
  const auto message = static_cast<size_t>(Phase::kMessage);
  const DurationHistogram taken =
      counters.phases[message].Since(last_.phases[message]);
  StatusSample sample;
  sample.time_s = now_s;
  sample.sessions = counters.sessions - last_.sessions;
  sample.messages = counters.messages - last_.messages;
  sample.refused = counters.messages_failed - last_.messages_failed;
  sample.p50_ms = taken.QuantileUs(0.5) / kUsPerMs;
  sample.p95_ms = taken.QuantileUs(0.95) / kUsPerMs;
  last_ = counters;
  samples_.push_back(sample);
  if (samples_.size() > kSamples) samples_.pop_front();
  if (++looks_since_mark_ < kLooksPerMark) return;
  looks_since_mark_ = 0;
  marks_.push_back(Mark{counters.phases, counters.limits_hit});
  if (marks_.size() > kMarks) marks_.pop_front();
}

const StatusHistory::Mark& StatusHistory::MarkBefore(size_t looks) const {
  size_t back = 1;  // the last mark is looks_since_mark_ old
  size_t age = looks_since_mark_;
  while (age < looks && back < marks_.size()) {
    ++back;
    age += kLooksPerMark;
  }
  return marks_[marks_.size() - back];
}

StatusHistory::Phases StatusHistory::PhasesSince(size_t looks) const {
  const Mark& before = MarkBefore(looks);
  Phases grown = last_.phases;
  for (size_t i = 0; i < grown.size(); ++i) {
    grown[i] = grown[i].Since(before.phases[i]);
  }
  return grown;
}

StatusHistory::LimitsHit StatusHistory::LimitsSince(size_t looks) const {
  const Mark& before = MarkBefore(looks);
  LimitsHit grown = last_.limits_hit;
  for (size_t i = 0; i < grown.values.size(); ++i) {
    grown.values[i] -= before.limits.values[i];
  }
  return grown;
}

}  // namespace tlspost
