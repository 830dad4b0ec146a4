// SizeDistribution: how many octets the next message has.
//
//   4k                   all the same
//   1k,4k*9,1M           one of a list; *9 makes one nine times as likely
//   uniform:1k:64k       any size between two
//   lognormal:8k:1.5     median and sigma (of the natural logarithm), as mail
//                        is; cut at 10M, or at a third number: ...:1.5:50M
//
// Deterministic: the caller brings the randomness.

#ifndef TLSPOST_BENCH_MEASURE_SIZE_DISTRIBUTION_H_
#define TLSPOST_BENCH_MEASURE_SIZE_DISTRIBUTION_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace tlspost::measure {

class SizeDistribution {
 public:
  static constexpr int64_t kMaxOctets = int64_t{100} << 20;

  // The error says in one line what is wrong with `text`.
  static absl::StatusOr<SizeDistribution> Parse(std::string_view text);

  // 1 to largest(); both arguments are uniform random bits.
  int64_t Draw(uint64_t random, uint64_t more_random) const;

  // No draw is larger.
  int64_t largest() const { return highest_; }

 private:
  enum class Kind { kList, kUniform, kLognormal };
  struct Weighted {
    int64_t octets;
    uint64_t up_to;  // sum of the weights up to and with this one
  };

  absl::Status AddToList(std::string_view word);

  Kind kind_ = Kind::kList;
  std::vector<Weighted> list_;
  int64_t lowest_ = 1;
  int64_t highest_ = 0;
  double log_median_ = 0;
  double sigma_ = 0;
};

}  // namespace tlspost::measure

#endif  // TLSPOST_BENCH_MEASURE_SIZE_DISTRIBUTION_H_
