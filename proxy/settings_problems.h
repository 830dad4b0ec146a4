// All that is wrong with a set of settings at once; settings.h has the first of
// it.

#ifndef TLSPOST_PROXY_SETTINGS_PROBLEMS_H_
#define TLSPOST_PROXY_SETTINGS_PROBLEMS_H_

#include <vector>

#include "proxy/settings.h"

namespace tlspost {

// The problems that are independent of each other; the first one is
// FindSettingsProblem's.
std::vector<SettingsProblem> FindSettingsProblems(const Settings& settings);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_SETTINGS_PROBLEMS_H_
