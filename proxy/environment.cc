#include "proxy/environment.h"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "common/base/status.h"
#include "proxy/settings_table.h"

namespace tlspost {
namespace {

char Capital(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

std::string VariableOf(std::string_view setting) {
  std::string name(kVariablePrefix);
  std::transform(setting.begin(), setting.end(), std::back_inserter(name),
                 Capital);
  return name;
}

const Setting* SettingOf(std::string_view variable) {
  for (const Setting& setting : AllSettings()) {
    if (VariableOf(setting.name) == variable) return &setting;
  }
  return nullptr;
}

std::vector<std::string_view> SplitList(std::string_view text) {
  constexpr std::string_view kSeparators = ", \t\r\n";
  std::vector<std::string_view> elements;
  while (true) {
    const size_t begin = text.find_first_not_of(kSeparators);
    if (begin == std::string_view::npos) return elements;
    text.remove_prefix(begin);
    const size_t end = std::min(text.find_first_of(kSeparators), text.size());
    elements.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

absl::Status SetVariable(const Setting& setting, std::string_view value,
                         Settings& settings) {
  if (!setting.repeatable()) return SetFromText(setting, value, settings);
  ClearList(setting, settings);
  for (const std::string_view element : SplitList(value)) {
    const absl::Status status = SetFromText(setting, element, settings);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

std::string UnknownVariable(std::string_view name) {
  for (const std::string_view table : kTablesOfTheFile) {
    if (name == VariableOf(table)) return IsTableText(table);
  }
  name.remove_prefix(kVariablePrefix.size());
  const std::string_view nearest = NearestSettingName(name);
  if (nearest.empty()) {
    return "unknown setting; take the variable away, or see tlspost --help for "
           "what there is";
  }
  return "unknown setting; did you mean " + VariableOf(nearest) + '?';
}

// Takes digits off the front; false if there are none.
bool TakeNumber(std::string_view& text) {
  const size_t end =
      std::min(text.find_first_not_of("0123456789"), text.size());
  text.remove_prefix(end);
  return end > 0;
}

// "_PORT_25_TCP" and what may stand behind it.
bool NamesPort(std::string_view name) {
  constexpr std::string_view kPort = "_PORT_";
  for (size_t at = name.find(kPort); at != std::string_view::npos;
       at = name.find(kPort, at + 1)) {
    std::string_view rest = name.substr(at + kPort.size());
    if (!TakeNumber(rest)) continue;
    for (const std::string_view protocol : {"_TCP", "_UDP", "_SCTP"}) {
      if (!rest.starts_with(protocol)) continue;
      const std::string_view behind = rest.substr(protocol.size());
      if (behind.empty() || behind == "_PROTO" || behind == "_PORT" ||
          behind == "_ADDR") {
        return true;
      }
    }
  }
  return false;
}

}  // namespace

std::vector<Variable> OurVariables() {
  std::vector<Variable> variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    if (!text.starts_with(kVariablePrefix) || equals == std::string_view::npos)
      continue;
    variables.push_back({std::string(text.substr(0, equals)),
                         std::string(text.substr(equals + 1))});
  }
  std::sort(
      variables.begin(), variables.end(),
      [](const Variable& a, const Variable& b) { return a.name < b.name; });
  return variables;
}

bool IsServiceLink(const Variable& variable) {
  const std::string_view name = variable.name;
  if (name.ends_with("_SERVICE_HOST") || name.ends_with("_SERVICE_PORT") ||
      name.find("_SERVICE_PORT_") != std::string_view::npos) {
    return true;
  }
  if (name.ends_with("_PORT")) {
    constexpr std::array<std::string_view, 3> kSchemes = {"tcp://", "udp://",
                                                          "sctp://"};
    const bool is_url = std::any_of(kSchemes.begin(), kSchemes.end(),
                                    [&](std::string_view scheme) {
                                      return variable.value.starts_with(scheme);
                                    });
    if (is_url) return true;
  }
  return NamesPort(name);
}

std::string ConfigFileOf(const std::vector<Variable>& variables) {
  for (const Variable& variable : variables) {
    if (variable.name == kConfigVariable) return variable.value;
  }
  return "";
}

void ReadVariables(const std::vector<Variable>& variables, Settings& settings,
                   SettingOrigins& origins, std::vector<absl::Status>& errors) {
  for (const auto& [name, value] : variables) {
    if (name == kConfigVariable) continue;
    const Setting* setting = SettingOf(name);
    if (setting == nullptr) {
      if (IsServiceLink({name, value})) continue;
      errors.push_back(InvalidAt(Printable(name), UnknownVariable(name)));
      continue;
    }
    origins.insert_or_assign(std::string(setting->name), name);
    const absl::Status status = SetVariable(*setting, value, settings);
    if (status.ok()) continue;
    errors.push_back(InvalidAt(Printable(name), MessageOf(status)));
  }
}

}  // namespace tlspost
