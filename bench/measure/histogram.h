// Histogram: how often which value was seen, with a bounded relative error.
//
// Log-linear: each power of two is cut into kSubBuckets equal buckets, so that
// a percentile is at most 1/kSubBuckets (below 1 %) above the true value,
// whatever its magnitude. Adding is a few instructions and allocates nothing.
// Values above kHighest count as kHighest; the exact largest and the sum are
// kept beside. Knows no unit; not for several threads: merge instead.

#ifndef TLSPOST_BENCH_MEASURE_HISTOGRAM_H_
#define TLSPOST_BENCH_MEASURE_HISTOGRAM_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace tlspost::measure {

class Histogram {
 public:
  static constexpr int kSubBucketBits = 7;
  static constexpr uint64_t kSubBuckets = uint64_t{1} << kSubBucketBits;
  // About 18 minutes, in nanoseconds.
  static constexpr int kHighestBits = 40;
  static constexpr uint64_t kHighest = (uint64_t{1} << kHighestBits) - 1;

  void Add(uint64_t value) {
    ++counts_[IndexOf(value < kHighest ? value : kHighest)];
    ++count_;
    sum_ += value;
    if (value > max_) max_ = value;
  }
  void Merge(const Histogram& other);

  uint64_t count() const { return count_; }
  uint64_t sum() const { return sum_; }
  uint64_t max() const { return max_; }
  double mean() const {
    return count_ == 0
               ? 0
               : static_cast<double>(sum_) / static_cast<double>(count_);
  }

  // The smallest value that at least `percent` of all are not above, rounded
  // up to its bucket's end, never above max(). 0 when there is none.
  uint64_t Percentile(double percent) const;

  // The bucket of a value, and the largest value in a bucket: exact below
  // 2 * kSubBuckets.
  static constexpr size_t IndexOf(uint64_t value) {
    if (value < kSubBuckets) return static_cast<size_t>(value);
    const int shift = std::bit_width(value) - 1 - kSubBucketBits;
    return static_cast<size_t>(
        (static_cast<uint64_t>(shift) << kSubBucketBits) + (value >> shift));
  }
  static constexpr uint64_t HighestIn(size_t index) {
    if (index < 2 * kSubBuckets) return index;
    const uint64_t shift = (index >> kSubBucketBits) - 1;
    const uint64_t step = index - (shift << kSubBucketBits);
    return ((step + 1) << shift) - 1;
  }

  // Calls `visit(highest value in the bucket, count)` for each that is not
  // empty, upwards.
  template <typename Visitor>
  void ForEach(Visitor&& visit) const {
    for (size_t i = 0; i < counts_.size(); ++i) {
      if (counts_[i] != 0) visit(HighestIn(i), counts_[i]);
    }
  }

 private:
  static constexpr size_t kBuckets =
      static_cast<size_t>(kHighestBits - kSubBucketBits + 1) << kSubBucketBits;

  std::array<uint64_t, kBuckets> counts_ = {};
  uint64_t count_ = 0;
  uint64_t sum_ = 0;
  uint64_t max_ = 0;
};

}  // namespace tlspost::measure

#endif  // TLSPOST_BENCH_MEASURE_HISTOGRAM_H_
