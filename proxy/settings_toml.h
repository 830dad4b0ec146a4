// Settings from the text of a TOML file: keys, [[tls_policy]], [[listener]].
//
// Reads no file, and knows nothing of what goes with what.

#ifndef TLSPOST_PROXY_SETTINGS_TOML_H_
#define TLSPOST_PROXY_SETTINGS_TOML_H_

#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "proxy/setting_source.h"
#include "proxy/settings.h"

namespace tlspost {

// Puts into `settings` all that can be read of `toml`, and of the rest a line
// each into `errors`, which begin with `path` and the place there.
void ReadSettingsToml(std::string_view toml, std::string_view path,
                      Settings& settings, SettingOrigins& origins,
                      std::vector<absl::Status>& errors);

// The same, for whom the first error is enough.
absl::Status ReadSettingsText(std::string_view toml, std::string_view path,
                              Settings& settings, SettingOrigins& origins);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_SETTINGS_TOML_H_
