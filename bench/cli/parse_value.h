// Text to values and back, as the instruments' command lines have them.
//
// Durations carry a unit (500ms, 30s, 5m, 1h), sizes are bytes or carry k, M
// or G. Errors say what is wrong with the value, without an option's name.

#ifndef TLSPOST_BENCH_CLI_PARSE_VALUE_H_
#define TLSPOST_BENCH_CLI_PARSE_VALUE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/io/time.h"

namespace tlspost::cli {

absl::StatusOr<int64_t> ParseCount(std::string_view text);
absl::StatusOr<double> ParseNumber(std::string_view text);
absl::StatusOr<int64_t> ParseSize(std::string_view text);
absl::StatusOr<io::Duration> ParseDuration(std::string_view text);

// In the largest unit that it is a whole number of.
std::string FormatSize(int64_t octets);
std::string FormatDuration(io::Duration duration);

// The words of `text` between `separator`s; "" has none.
std::vector<std::string_view> SplitList(std::string_view text, char separator);

}  // namespace tlspost::cli

#endif  // TLSPOST_BENCH_CLI_PARSE_VALUE_H_
