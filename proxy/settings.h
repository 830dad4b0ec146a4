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
#include "common/io/engine_choice.h"
#include "proxy/listener_rule.h"
#include "proxy/tls_terms.h"

namespace tlspost {

using IoEngine = io::EngineChoice;
enum class PoolMode { kTransaction, kSession };
enum class BackendIdentity { kAuto, kXclient, kXforward, kProxy, kNone };
enum class BackendTlsLevel { kNone, kMay, kEncrypt, kVerify };
enum class BareNewline { kNormalize, kReject };
enum class ReceivedFormat { kPostfix, kGmail };
enum class UpstreamProxyProtocol { kNone, kHaproxy };
enum class LogTo { kStderr, kSyslog, kJournal };
enum class LogFormat { kText, kJson };

// The words of each enum, in the order of its values.
inline constexpr std::array<std::string_view, 3> kIoEngineWords = {
    "auto", "io_uring", "epoll"};
inline constexpr std::array<std::string_view, 3> kTlsSecurityLevelWords = {
    "none", "may", "encrypt"};
inline constexpr std::array<std::string_view, 2> kPoolModeWords = {
    "transaction", "session"};
inline constexpr std::array<std::string_view, 5> kBackendIdentityWords = {
    "auto", "xclient", "xforward", "proxy", "none"};
inline constexpr std::array<std::string_view, 4> kBackendTlsLevelWords = {
    "none", "may", "encrypt", "verify"};
inline constexpr std::array<std::string_view, 2> kBareNewlineWords = {
    "normalize", "reject"};
inline constexpr std::array<std::string_view, 2> kReceivedFormatWords = {
    "postfix", "gmail"};
inline constexpr std::array<std::string_view, 2> kUpstreamProxyProtocolWords = {
    "none", "haproxy"};
inline constexpr std::array<std::string_view, 3> kLogToWords = {
    "stderr", "syslog", "journal"};
inline constexpr std::array<std::string_view, 2> kLogFormatWords = {"text",
                                                                    "json"};

constexpr std::span<const std::string_view> WordsOf(IoEngine) {
  return kIoEngineWords;
}
constexpr std::span<const std::string_view> WordsOf(TlsSecurityLevel) {
  return kTlsSecurityLevelWords;
}
constexpr std::span<const std::string_view> WordsOf(PoolMode) {
  return kPoolModeWords;
}
constexpr std::span<const std::string_view> WordsOf(BackendIdentity) {
  return kBackendIdentityWords;
}
constexpr std::span<const std::string_view> WordsOf(BackendTlsLevel) {
  return kBackendTlsLevelWords;
}
constexpr std::span<const std::string_view> WordsOf(BareNewline) {
  return kBareNewlineWords;
}
constexpr std::span<const std::string_view> WordsOf(ReceivedFormat) {
  return kReceivedFormatWords;
}
constexpr std::span<const std::string_view> WordsOf(UpstreamProxyProtocol) {
  return kUpstreamProxyProtocolWords;
}
constexpr std::span<const std::string_view> WordsOf(LogTo) {
  return kLogToWords;
}
constexpr std::span<const std::string_view> WordsOf(LogFormat) {
  return kLogFormatWords;
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

  // The [[tls_policy]] tables, in their order. They stand in the file only.
  std::vector<TlsPolicyRule> tls_policy;
  // The [[listener]] tables, likewise. What they make of the settings is in
  // listener_settings.h.
  std::vector<ListenerRule> listeners;

  bool HasCertificate() const {
    return !tls_cert_file.empty() || !tls_chain_files.empty();
  }
  // The same settings as a TlsPolicyRule has them.
  TlsTerms terms() const;

  bool operator==(const Settings&) const = default;
};

// What is wrong with a set of settings, each of which is right by itself.
struct SettingsProblem {
  std::string_view setting;
  std::string text;     // the thing and the remedy
  std::string place{};  // where it stands, if that is known: "FILE:12:1"
};
std::optional<SettingsProblem> FindSettingsProblem(const Settings& settings);

// The same, as "SETTING: TEXT".
absl::Status ValidateSettings(const Settings& settings);

// What can be meant as it is but is rarely wanted, one line each.
std::vector<std::string> SettingsWarnings(const Settings& settings);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_SETTINGS_H_
