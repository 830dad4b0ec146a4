// The manual pages, tlspost(8) and tlspost.toml(5), as man(7) sources.
//
// What they say of commands and settings comes from the usage text and from
// settings_list.inc; only the sections around that are written here.

#ifndef TLSPOST_PROXY_SETTINGS_MAN_H_
#define TLSPOST_PROXY_SETTINGS_MAN_H_

#include <string>

namespace tlspost {

std::string FormatCommandManual();   // tlspost.8
std::string FormatSettingsManual();  // tlspost.toml.5

}  // namespace tlspost

#endif  // TLSPOST_PROXY_SETTINGS_MAN_H_
