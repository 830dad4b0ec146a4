#include "bench/measure/size_distribution.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "absl/strings/str_format.h"
#include "bench/cli/parse_value.h"
#include "common/base/status.h"

namespace tlspost::measure {
namespace {

constexpr int64_t kMaxWeight = 1'000'000;
constexpr int64_t kDefaultLognormalLimit = int64_t{10} << 20;
constexpr double kMaxSigma = 5;

absl::StatusOr<int64_t> ParseOctets(std::string_view text) {
  absl::StatusOr<int64_t> octets = cli::ParseSize(text);
  if (!octets.ok()) return octets;
  if (*octets < 1 || *octets > SizeDistribution::kMaxOctets) {
    return absl::InvalidArgumentError(
        absl::StrFormat("\"%s\" is not from 1 to %s", text,
                        cli::FormatSize(SizeDistribution::kMaxOctets)));
  }
  return octets;
}

// In (0, 1].
double UnitInterval(uint64_t random) {
  return (static_cast<double>(random >> 11) + 1) / (uint64_t{1} << 53);
}

absl::Status Malformed(std::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrFormat("\"%s\" is none; write 4k, 1k,4k*9,1M, uniform:1k:64k or "
                      "lognormal:8k:1.5",
                      text));
}

}  // namespace

absl::Status SizeDistribution::AddToList(std::string_view word) {
  const size_t star = word.find('*');
  const absl::StatusOr<int64_t> octets = ParseOctets(word.substr(0, star));
  if (!octets.ok()) return octets.status();
  int64_t weight = 1;
  if (star != std::string_view::npos) {
    const auto parsed = cli::ParseCount(word.substr(star + 1));
    if (!parsed.ok()) return parsed.status();
    weight = *parsed;
  }
  if (weight < 1 || weight > kMaxWeight) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "\"%s\": the weight is not from 1 to %d", word, kMaxWeight));
  }
  const uint64_t before = list_.empty() ? 0 : list_.back().up_to;
  list_.push_back({*octets, before + static_cast<uint64_t>(weight)});
  highest_ = std::max(highest_, *octets);
  return absl::OkStatus();
}

absl::StatusOr<SizeDistribution> SizeDistribution::Parse(
    std::string_view text) {
  SizeDistribution sizes;
  const std::vector<std::string_view> parts = cli::SplitList(text, ':');
  if (parts.empty()) return Malformed(text);
  if (parts.size() == 1) {
    for (const std::string_view word : cli::SplitList(text, ',')) {
      const absl::Status added = sizes.AddToList(word);
      if (!added.ok()) return added;
    }
    return sizes;
  }
  const absl::StatusOr<int64_t> first = ParseOctets(parts[1]);
  if (!first.ok()) return first.status();
  if (parts[0] == "uniform" && parts.size() == 3) {
    const absl::StatusOr<int64_t> last = ParseOctets(parts[2]);
    if (!last.ok()) return last.status();
    if (*last < *first) return Malformed(text);
    sizes.kind_ = Kind::kUniform;
    sizes.lowest_ = *first;
    sizes.highest_ = *last;
    return sizes;
  }
  if (parts[0] != "lognormal" || parts.size() < 3 || parts.size() > 4) {
    return Malformed(text);
  }
  const absl::StatusOr<double> sigma = cli::ParseNumber(parts[2]);
  if (!sigma.ok()) return sigma.status();
  if (*sigma > kMaxSigma) return Malformed(text);
  sizes.kind_ = Kind::kLognormal;
  sizes.log_median_ = std::log(static_cast<double>(*first));
  sizes.sigma_ = *sigma;
  sizes.highest_ = kDefaultLognormalLimit;
  if (parts.size() == 4) {
    const absl::StatusOr<int64_t> limit = ParseOctets(parts[3]);
    if (!limit.ok()) return limit.status();
    sizes.highest_ = *limit;
  }
  return sizes;
}

int64_t SizeDistribution::Draw(uint64_t random, uint64_t more_random) const {
  switch (kind_) {
    case Kind::kList: {
      const uint64_t point = random % list_.back().up_to;
      const auto chosen = std::find_if(
          list_.begin(), list_.end(),
          [point](const Weighted& each) { return point < each.up_to; });
      return chosen->octets;
    }
    case Kind::kUniform: {
      const auto span = static_cast<uint64_t>(highest_ - lowest_ + 1);
      return lowest_ + static_cast<int64_t>(random % span);
    }
    case Kind::kLognormal: {
      // Box and Muller: two uniform numbers give a normal one.
      const double radius = std::sqrt(-2 * std::log(UnitInterval(random)));
      const double normal =
          radius * std::cos(2 * std::numbers::pi * UnitInterval(more_random));
      const double octets = std::exp(log_median_ + sigma_ * normal);
      const auto limit = static_cast<double>(highest_);
      return static_cast<int64_t>(std::clamp(octets, 1.0, limit));
    }
  }
  return highest_;
}

}  // namespace tlspost::measure
