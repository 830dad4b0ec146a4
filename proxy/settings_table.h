// The settings as a table: name, help, and how a value is read and written.
//
// Made from settings_list.inc. A value's text is the same on the command line
// and in the TOML file; only TOML's quotes are added there.

#ifndef TLSPOST_PROXY_SETTINGS_TABLE_H_
#define TLSPOST_PROXY_SETTINGS_TABLE_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/status.h"
#include "proxy/settings.h"

namespace tlspost {

// Reads and writes an enum member by the number of its word.
struct EnumAccess {
  std::span<const std::string_view> words;
  size_t (*get)(const Settings& settings);
  void (*set)(Settings& settings, size_t word);
};

struct Setting {
  using Member =
      std::variant<std::string Settings::*,
                   std::vector<std::string> Settings::*, int Settings::*,
                   uint64_t Settings::*, std::chrono::milliseconds Settings::*,
                   bool Settings::*, EnumAccess>;

  std::string_view group;
  std::string_view name;
  Member member;
  std::string hint;    // what a value looks like: HOST:PORT, 0..1024
  int64_t lowest = 0;  // of a count, of bytes, of milliseconds
  int64_t highest = 0;
  std::string_view help;
  bool per_listener = false;   // a [[listener]] may change it
  bool needs_restart = false;  // a reload leaves it as it is

  bool repeatable() const {
    return std::holds_alternative<std::vector<std::string> Settings::*>(member);
  }
  bool is_bool() const {
    return std::holds_alternative<bool Settings::*>(member);
  }
  // Whether TOML writes the value without quotes: a number or a boolean.
  bool is_bare() const;
};

// All settings, in the order of the list.
std::span<const Setting> AllSettings();

// Null when there is none of that name.
const Setting* FindSetting(std::string_view name);

// The known name that `name` was probably meant to be; empty when none is near.
std::string_view NearestSettingName(std::string_view name);

// Sets one value; for a repeatable setting, appends it. The error says what is
// wrong with the value, without the setting's name.
absl::Status SetFromText(const Setting& setting, std::string_view text,
                         Settings& settings);

// Sets what TOML gives as an integer or a boolean.
absl::Status SetFromInteger(const Setting& setting, int64_t value,
                            Settings& settings);
absl::Status SetFromBool(const Setting& setting, bool value,
                         Settings& settings);

// Empties a repeatable setting, so that what is given replaces the default.
void ClearList(const Setting& setting, Settings& settings);

// Makes the setting in `to` what it is in `from`.
void CopyValue(const Setting& setting, const Settings& from, Settings& to);

// The value's text: 30s, yes, may. A list's elements are joined by ", ".
std::string FormatValue(const Setting& setting, const Settings& settings);

// The value as TOML: "30s", true, ["0.0.0.0:25"].
std::string FormatTomlValue(const Setting& setting, const Settings& settings);

std::string FormatDuration(std::chrono::milliseconds duration);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_SETTINGS_TABLE_H_
