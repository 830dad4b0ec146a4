// The border between absl's view type and ours.
//
// Debian's abseil has an absl::string_view of its own that does not convert
// from or to std::string_view. This project uses std::string_view everywhere;
// absl is used for Status and StrFormat, and these two functions are the only
// places where a view crosses.

#ifndef TLSPOST_COMMON_BASE_STATUS_H_
#define TLSPOST_COMMON_BASE_STATUS_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace tlspost {

// The message of `status`; valid as long as `status` is.
inline std::string_view MessageOf(const absl::Status& status) {
  const auto message = status.message();
  return std::string_view(message.data(), message.size());
}

// A status with `code` and `message`.
inline absl::Status MakeStatus(absl::StatusCode code,
                               std::string_view message) {
  return absl::Status(code, std::string(message));
}

// What somebody gave us is wrong, as `message` says.
inline absl::Status Invalid(std::string_view message) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, message);
}

}  // namespace tlspost

#endif  // TLSPOST_COMMON_BASE_STATUS_H_
