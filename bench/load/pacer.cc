#include "bench/load/pacer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "bench/measure/clock.h"

namespace tlspost::load {
namespace {

constexpr io::Duration kLongestSleep = std::chrono::milliseconds(50);

// In (0, 1], from a splitmix64 sequence.
double NextUniform(uint64_t& state) {
  state += 0x9e3779b97f4a7c15u;
  uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  z ^= z >> 31;
  return (static_cast<double>(z >> 11) + 1) / (uint64_t{1} << 53);
}

}  // namespace

Schedule::Schedule(double per_second, Arrivals arrivals, io::Time begin,
                   uint64_t seed)
    : seconds_apart_(1 / per_second),
      arrivals_(arrivals),
      begin_(begin),
      random_(seed) {}

io::Time Schedule::Next() {
  const double gap =
      arrivals_ == Arrivals::kUniform ? 1.0 : -std::log(NextUniform(random_));
  seconds_ += gap * seconds_apart_;
  return begin_ + io::Duration(std::llround(seconds_ * 1e9));
}

Pacer::Pacer(io::Loop& loop, Schedule schedule)
    : loop_(loop),
      schedule_(schedule),
      waiting_(loop),
      thread_([this] { Pace(); }) {}

Pacer::~Pacer() {
  stop_ = true;
  thread_.join();
}

void Pacer::Pace() {
  io::Time next = schedule_.Next();
  while (!stop_) {
    const io::Time now = measure::NowExactly();
    std::vector<io::Time> due;
    for (; next <= now && due.size() < kMaxDue; next = schedule_.Next()) {
      due.push_back(next);
    }
    if (!due.empty()) {
      loop_.PostRemote([this, due = std::move(due)] { Hand(due); });
    }
    std::this_thread::sleep_for(
        std::clamp(next - now, kShortestSleep, kLongestSleep));
  }
}

void Pacer::Hand(const std::vector<io::Time>& due) {
  if (ended_) return;  // nobody is there to begin it
  for (const io::Time time : due) {
    if (due_.size() == kMaxDue) {
      ++missed_;
      continue;
    }
    due_.push_back(time);
    waiting_.WakeOne();
  }
}

Task<std::optional<io::Time>> Pacer::Next() {
  while (!ended_ && due_.empty()) {
    const absl::Status woken = co_await waiting_.Wait(io::kNever);
    static_cast<void>(woken);  // that something has changed says it all
  }
  if (ended_) co_return std::nullopt;
  const io::Time time = due_.front();
  due_.pop_front();
  co_return time;
}

void Pacer::End() {
  ended_ = true;
  waiting_.WakeAll(absl::OkStatus());
}

}  // namespace tlspost::load
