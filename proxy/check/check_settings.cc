// The settings by themselves.

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "proxy/check/check.h"
#include "proxy/config.h"
#include "proxy/environment.h"

namespace tlspost {
namespace {

// What was read, for the line that says that it is good.
std::string SourceOf(std::span<const char* const> args) {
  constexpr std::string_view kConfig = "--config=";
  const std::vector<Variable> variables = OurVariables();
  std::string file = ConfigFileOf(variables);
  const size_t in_environment =
      static_cast<size_t>(std::count_if(
          variables.begin(), variables.end(),
          [](const Variable& variable) { return !IsServiceLink(variable); })) -
      (file.empty() ? 0 : 1);
  size_t options = 0;
  for (const std::string_view arg : args) {
    if (arg.starts_with(kConfig)) {
      file = arg.substr(kConfig.size());
    } else {
      ++options;
    }
  }
  std::vector<std::string> sources;
  if (!file.empty()) sources.push_back(file);
  if (in_environment > 0) sources.emplace_back("environment");
  if (options > 0) sources.emplace_back("command line");
  return sources.empty() ? "defaults" : absl::StrJoin(sources, " and ");
}

}  // namespace

std::optional<Settings> CheckSettings(std::span<const char* const> args,
                                      std::vector<Finding>& findings) {
  AreaFindings found("settings", findings);
  std::vector<absl::Status> errors;
  auto settings = LoadSettings(args, errors);
  for (const absl::Status& error : errors) {
    found.Fail("settings", MessageOf(error));
  }
  if (!settings.has_value()) {
    found.Note("settings", "nothing else was looked at, as it hangs on these");
    return std::nullopt;
  }
  found.Ok("settings", SourceOf(args) + ": understood");
  for (const std::string& warning : SettingsWarnings(*settings)) {
    found.Warn("settings", warning);
  }
  const std::string& hostname = settings->hostname;
  if (hostname.front() != '[' && hostname.find('.') == std::string::npos) {
    found.Warn("hostname",
               "\"" + hostname +
                   "\" is no full name, and some servers refuse one without a "
                   "domain; set hostname to the name of your MX record");
  }
  return settings;
}

}  // namespace tlspost
