// Reads settings: defaults, then the file of --config=FILE (settings_toml.h),
// then the variables of the environment (environment.h), then the command line.
// What comes later replaces what came before, lists as a whole.
//
// Knows nothing of what a setting means, nor whether a file that one names
// exists.

#ifndef TLSPOST_PROXY_CONFIG_H_
#define TLSPOST_PROXY_CONFIG_H_

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proxy/setting_source.h"
#include "proxy/settings.h"

namespace tlspost {

// `args` is the command line behind the program's name and its command. An
// error is one line: where (FILE:LINE:COLUMN, or the option), what, remedy.
// Afterwards `hostname` and, with a certificate, `tls_key_file` are set.
absl::StatusOr<Settings> LoadSettings(std::span<const char* const> args);

// The same, for whoever wants to hear of all errors at once; without settings
// there is at least one.
std::optional<Settings> LoadSettings(std::span<const char* const> args,
                                     std::vector<absl::Status>& errors);

// The file that the settings are read from, of --config=FILE or TLSPOST_CONFIG;
// empty: there is none, or it cannot be told.
std::string FindSettingsFile(std::span<const char* const> args);

// Only control_socket, as far as the settings can be read at all: to ask a
// process about settings that may be broken. Empty: there is none, or `errors`
// say why it cannot be told.
std::string FindControlSocket(std::span<const char* const> args,
                              std::vector<absl::Status>& errors);

// The same, for whoever wants to know where each setting comes from.
std::optional<Settings> LoadSettings(std::span<const char* const> args,
                                     SettingOrigins& origins,
                                     std::vector<absl::Status>& errors);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_CONFIG_H_
