// What [[listener]] and [[tls_policy]] tables make of the settings around them.

#ifndef TLSPOST_PROXY_LISTENER_SETTINGS_H_
#define TLSPOST_PROXY_LISTENER_SETTINGS_H_

#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proxy/listener_rule.h"
#include "proxy/settings.h"

namespace tlspost {

// Fills in the terms of each [[tls_policy]]: what a table leaves out is as the
// settings have it. Error: "PLACE: what is wrong".
absl::Status FillInPolicies(Settings& settings);

// All settings as they hold at the addresses of `rule`, which are its `listen`
// or `listen_tls`. Error: what is wrong with a value.
absl::StatusOr<Settings> SettingsFor(const ListenerRule& rule,
                                     const Settings& common);

// What cannot be at one of the settings' listeners.
std::optional<SettingsProblem> FindListenerProblem(const Settings& settings);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_LISTENER_SETTINGS_H_
