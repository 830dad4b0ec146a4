// What an administrator can set, as a struct; it is read once and then shared,
// unchanged, by all workers.
//
// The settings themselves are declared in settings_list.inc, with their
// defaults and help. How they are read is in config.h, how they are described
// to people in settings_help.h.

#ifndef TLSPOST_PROXY_SETTINGS_H_
#define TLSPOST_PROXY_SETTINGS_H_

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace tlspost {

enum class TlsSecurityLevel { kNone, kMay, kEncrypt };
enum class BackendIdentity { kAuto, kXclient, kNone };
enum class BareNewline { kNormalize, kReject };

// The words of each enum, in the order of its values.
inline constexpr std::array<std::string_view, 3> kTlsSecurityLevelWords = {
    "none", "may", "encrypt"};
inline constexpr std::array<std::string_view, 3> kBackendIdentityWords = {
    "auto", "xclient", "none"};
inline constexpr std::array<std::string_view, 2> kBareNewlineWords = {
    "normalize", "reject"};

constexpr std::span<const std::string_view> WordsOf(TlsSecurityLevel) {
  return kTlsSecurityLevelWords;
}
constexpr std::span<const std::string_view> WordsOf(BackendIdentity) {
  return kBackendIdentityWords;
}
constexpr std::span<const std::string_view> WordsOf(BareNewline) {
  return kBareNewlineWords;
}

struct Settings {
  // How the list names types and durations.
  using Text = std::string;
  using List = std::vector<std::string>;
  using Count = int;
  using Size = uint64_t;
  using Duration = std::chrono::milliseconds;
  static constexpr Duration Milliseconds(int64_t n) { return Duration(n); }
  static constexpr Duration Seconds(int64_t n) { return Duration(n * 1000); }
  static constexpr Duration Hours(int64_t n) { return Seconds(n * 3600); }

#define TLSPOST_GROUP(title)
#define TLSPOST_SETTING(type, name, default_value, rule, help) \
  type name = default_value;
#include "proxy/settings_list.inc"
#undef TLSPOST_SETTING
#undef TLSPOST_GROUP

  bool operator==(const Settings&) const = default;
};

// What is wrong with a set of settings, each of which is right by itself.
struct SettingsProblem {
  std::string_view setting;
  std::string text;  // the thing and the remedy
};
std::optional<SettingsProblem> FindSettingsProblem(const Settings& settings);

// The same, as "SETTING: TEXT".
absl::Status ValidateSettings(const Settings& settings);

// What can be meant as it is but is rarely wanted, one line each.
std::vector<std::string> SettingsWarnings(const Settings& settings);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_SETTINGS_H_
