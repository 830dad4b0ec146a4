#include "bench/cli/parse_value.h"

#include <charconv>
#include <chrono>
#include <utility>

#include "common/base/status.h"

namespace tlspost::cli {
namespace {

constexpr int64_t kMaxSize = int64_t{1} << 40;                 // a terabyte
constexpr io::Duration kMaxDuration = std::chrono::hours(24);  // a day

constexpr std::pair<std::string_view, int> kSizeUnits[] = {
    {"G", 30}, {"M", 20}, {"k", 10}};

struct TimeUnit {
  std::string_view name;
  io::Duration length;
};
constexpr TimeUnit kTimeUnits[] = {{"h", std::chrono::hours(1)},
                                   {"m", std::chrono::minutes(1)},
                                   {"s", std::chrono::seconds(1)},
                                   {"ms", std::chrono::milliseconds(1)},
                                   {"us", std::chrono::microseconds(1)}};

absl::Status Invalid(std::string_view text, std::string_view why) {
  return MakeStatus(absl::StatusCode::kInvalidArgument,
                    "\"" + std::string(text) + "\" " + std::string(why));
}

// The number in front of `text`, and in `unit` what follows it.
template <typename Number>
bool TakeNumber(std::string_view text, Number* number, std::string_view* unit) {
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, *number);
  if (error != std::errc() || *number < 0) return false;
  *unit = std::string_view(rest, static_cast<size_t>(end - rest));
  return true;
}

}  // namespace

absl::StatusOr<int64_t> ParseCount(std::string_view text) {
  int64_t count = 0;
  std::string_view unit;
  if (!TakeNumber(text, &count, &unit) || !unit.empty()) {
    return Invalid(text, "is no whole number");
  }
  return count;
}

absl::StatusOr<double> ParseNumber(std::string_view text) {
  double number = 0;
  std::string_view unit;
  if (!TakeNumber(text, &number, &unit) || !unit.empty()) {
    return Invalid(text, "is no number");
  }
  return number;
}

absl::StatusOr<int64_t> ParseSize(std::string_view text) {
  int64_t size = 0;
  std::string_view unit;
  if (TakeNumber(text, &size, &unit)) {
    if (unit.empty() && size <= kMaxSize) return size;
    for (const auto& [name, shift] : kSizeUnits) {
      if (unit == name && size <= kMaxSize >> shift) return size << shift;
    }
  }
  return Invalid(text, "is no size; write bytes, or 64k, 10M, 1G");
}

absl::StatusOr<io::Duration> ParseDuration(std::string_view text) {
  int64_t number = 0;
  std::string_view unit;
  if (TakeNumber(text, &number, &unit)) {
    for (const auto& [name, length] : kTimeUnits) {
      if (unit == name && number <= kMaxDuration / length) {
        return number * length;
      }
    }
  }
  return Invalid(text, "is no duration; write 500ms, 30s, 5m or 1h");
}

std::string FormatSize(int64_t octets) {
  for (const auto& [name, shift] : kSizeUnits) {
    if (octets != 0 && octets % (int64_t{1} << shift) == 0) {
      return std::to_string(octets >> shift) + std::string(name);
    }
  }
  return std::to_string(octets);
}

std::string FormatDuration(io::Duration duration) {
  for (const auto& [name, length] : kTimeUnits) {
    const bool whole = duration.count() % length.count() == 0;
    if (duration.count() != 0 && whole) {
      return std::to_string(duration / length) + std::string(name);
    }
  }
  return "0s";
}

std::vector<std::string_view> SplitList(std::string_view text, char separator) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const size_t end = text.find(separator);
    words.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
    if (text.empty()) words.push_back(text);
  }
  return words;
}

}  // namespace tlspost::cli
