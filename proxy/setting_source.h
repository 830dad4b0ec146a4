// What the sources of settings (file, environment, command line) have in
// common: where a setting comes from, and how an error names it.

#ifndef TLSPOST_PROXY_SETTING_SOURCE_H_
#define TLSPOST_PROXY_SETTING_SOURCE_H_

#include <array>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace tlspost {

// Where each setting that was given comes from, by its name: "FILE:12:1",
// "TLSPOST_BACKEND" or "--backend".
using SettingOrigins = std::map<std::string, std::string, std::less<>>;

// Tables that only the file can have: no value on one line says as much.
inline constexpr std::string_view kPolicyTable = "tls_policy";
inline constexpr std::string_view kListenerTable = "listener";
inline constexpr std::array<std::string_view, 2> kTablesOfTheFile = {
    kPolicyTable, kListenerTable};

bool IsTableOfTheFile(std::string_view name);

// "WHERE: WHAT".
absl::Status InvalidAt(std::string_view where, std::string_view what);

// What a table's name is told that stands where only settings may.
std::string IsTableText(std::string_view table);

// What an unknown name is told: the setting that was probably meant, with
// `prefix` in front, or `advice`.
std::string UnknownSetting(std::string_view name, std::string_view prefix,
                           std::string_view advice);

// Text of unknown origin, on one line and not endless.
std::string Printable(std::string_view text);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_SETTING_SOURCE_H_
