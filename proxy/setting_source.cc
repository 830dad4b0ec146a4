#include "proxy/setting_source.h"

#include <algorithm>

#include "common/base/status.h"
#include "common/smtp/text.h"
#include "proxy/settings_table.h"

namespace tlspost {

bool IsTableOfTheFile(std::string_view name) {
  return std::find(kTablesOfTheFile.begin(), kTablesOfTheFile.end(), name) !=
         kTablesOfTheFile.end();
}

absl::Status InvalidAt(std::string_view where, std::string_view what) {
  return Invalid(std::string(where) + ": " + std::string(what));
}

std::string IsTableText(std::string_view table) {
  return "is a table of the settings file: [[" + std::string(table) + "]]";
}

std::string UnknownSetting(std::string_view name, std::string_view prefix,
                           std::string_view advice) {
  const std::string_view nearest = NearestSettingName(name);
  if (nearest.empty()) {
    return "unknown setting; " + std::string(advice);
  }
  return "unknown setting; did you mean " + std::string(prefix) +
         std::string(nearest) + "?";
}

std::string Printable(std::string_view text) {
  constexpr size_t kShownOctets = 200;
  return smtp::OnOneLine(text.substr(0, kShownOctets));
}

}  // namespace tlspost
