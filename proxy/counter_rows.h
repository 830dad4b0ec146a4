// Counters that have labels, and histograms of durations: rows of plain
// integers of one thread, whose size is known at compile time.
//
// Nothing is allocated, looked up or locked when something is counted.

#ifndef TLSPOST_PROXY_COUNTER_ROWS_H_
#define TLSPOST_PROXY_COUNTER_ROWS_H_

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <numeric>

#include "common/io/time.h"

namespace tlspost {

// kRows x kColumns counters; one label, or two.
template <size_t kRows, size_t kColumns = 1>
struct CounterRows {
  static constexpr size_t kRowCount = kRows;
  static constexpr size_t kColumnCount = kColumns;

  std::array<int64_t, kRows * kColumns> values{};

  int64_t& at(size_t row, size_t column = 0) {
    return values[row * kColumns + column];
  }
  int64_t at(size_t row, size_t column = 0) const {
    return values[row * kColumns + column];
  }
  // By an enum that numbers the rows.
  template <typename Label>
  int64_t& operator[](Label label) {
    return at(static_cast<size_t>(label));
  }
  template <typename Label>
  int64_t operator[](Label label) const {
    return at(static_cast<size_t>(label));
  }
  int64_t Sum() const {
    return std::accumulate(values.begin(), values.end(), int64_t{0});
  }

  CounterRows& operator+=(const CounterRows& other) {
    for (size_t i = 0; i < values.size(); ++i) values[i] += other.values[i];
    return *this;
  }
};

// How long something took, in classes.
struct DurationHistogram {
  // The classes' upper ends, in microseconds; one more class has all above.
  static constexpr std::array<int64_t, 17> kUpperEndsUs = {
      500,       1'000,      2'500,      5'000,      10'000,     25'000,
      50'000,    100'000,    250'000,    500'000,    1'000'000,  2'500'000,
      5'000'000, 10'000'000, 30'000'000, 60'000'000, 300'000'000};
  static constexpr size_t kClasses = kUpperEndsUs.size() + 1;

  std::array<int64_t, kClasses> counts{};
  int64_t sum_us = 0;

  void Observe(io::Duration duration) {
    const int64_t us =
        std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
    const auto end =
        std::lower_bound(kUpperEndsUs.begin(), kUpperEndsUs.end(), us);
    ++counts[static_cast<size_t>(end - kUpperEndsUs.begin())];
    sum_us += us;
  }

  int64_t count() const {
    return std::accumulate(counts.begin(), counts.end(), int64_t{0});
  }
  // The duration that `part` (0..1) of them stay within, as well as the classes
  // tell; 0 when there were none.
  double QuantileUs(double part) const;

  DurationHistogram& operator+=(const DurationHistogram& other) {
    for (size_t i = 0; i < kClasses; ++i) counts[i] += other.counts[i];
    sum_us += other.sum_us;
    return *this;
  }
  // What came since `earlier`, which this has grown from.
  DurationHistogram Since(const DurationHistogram& earlier) const {
    DurationHistogram grown = *this;
    for (size_t i = 0; i < kClasses; ++i) grown.counts[i] -= earlier.counts[i];
    grown.sum_us -= earlier.sum_us;
    return grown;
  }
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_COUNTER_ROWS_H_
