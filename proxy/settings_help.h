// The settings described to people: --help, the sample file, README's table.
//
// All of it comes from settings_list.inc; scripts/generate writes the files,
// and a test fails when one of them says something else.

#ifndef TLSPOST_PROXY_SETTINGS_HELP_H_
#define TLSPOST_PROXY_SETTINGS_HELP_H_

#include <optional>
#include <string>
#include <string_view>

namespace tlspost {

// The commands, one after the other, and how values are written; the lines that
// name a command begin with "  tlspost", what it does is indented further.
std::string_view UsageText();

// --help: how to call the program, then every setting by group.
std::string FormatHelp();

// docker/tlspost.toml: every setting with its help and, commented out, its
// default.
std::string FormatSampleToml();

// The Markdown table between the markers in README.md.
inline constexpr std::string_view kSettingsTableBegin =
    "<!-- settings:begin -->";
inline constexpr std::string_view kSettingsTableEnd = "<!-- settings:end -->";
std::string FormatSettingsTable();

// The text that `option` (--help, --version, --print-sample,
// --print-settings-table, --print-metrics-table, --print-postfix-table,
// --print-man-command, --print-man-settings) asks for, which main prints
// instead of serving.
std::optional<std::string> FindPrintout(std::string_view option);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_SETTINGS_HELP_H_
