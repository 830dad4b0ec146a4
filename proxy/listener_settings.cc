// Settings made of others, table by table.

#include "proxy/listener_settings.h"

#include <string>
#include <string_view>
#include <utility>

#include "common/base/status.h"
#include "proxy/settings_table.h"

namespace tlspost {
namespace {

std::optional<SettingsProblem> FindProblemOf(const ListenerRule& rule,
                                             const Settings& common) {
  const absl::StatusOr<Settings> settings = SettingsFor(rule, common);
  if (!settings.ok()) {
    return SettingsProblem{
        "listener", std::string(MessageOf(settings.status())), rule.place};
  }
  auto problem = FindSettingsProblem(*settings);
  if (problem.has_value()) {
    const bool is_address =
        problem->setting == "listen" || problem->setting == "listen_tls";
    if (is_address) problem->setting = "address";
    return problem;
  }
  // The question is put in the handshake, which is the same everywhere.
  const bool asked = common.tls_ask_ccert || common.tls_req_ccert;
  if (settings->tls_req_ccert && !asked) {
    return SettingsProblem{"tls_req_ccert",
                           "clients must be asked for a certificate at all "
                           "addresses; set tls_ask_ccert=yes",
                           rule.place};
  }
  return std::nullopt;
}

}  // namespace

absl::Status FillInPolicies(Settings& settings) {
  for (TlsPolicyRule& rule : settings.tls_policy) {
    Settings changed = settings;
    for (const auto& [name, text] : rule.changes) {
      const absl::Status status =
          SetFromText(*FindSetting(name), text, changed);
      if (!status.ok()) {
        return MakeStatus(status.code(),
                          rule.place + ": " + std::string(MessageOf(status)));
      }
    }
    rule.terms = changed.terms();
  }
  return absl::OkStatus();
}

absl::StatusOr<Settings> SettingsFor(const ListenerRule& rule,
                                     const Settings& common) {
  Settings settings = common;
  settings.listeners.clear();
  settings.listen.clear();
  settings.listen_tls.clear();
  (rule.implicit_tls ? settings.listen_tls : settings.listen) = rule.addresses;
  for (const auto& [name, texts] : rule.changes) {
    const Setting& setting = *FindSetting(name);
    ClearList(setting, settings);
    for (const std::string& text : texts) {
      const absl::Status status = SetFromText(setting, text, settings);
      if (!status.ok()) return status;
    }
  }
  const absl::Status filled = FillInPolicies(settings);
  if (!filled.ok()) return filled;
  return settings;
}

std::optional<SettingsProblem> FindListenerProblem(const Settings& settings) {
  for (const ListenerRule& rule : settings.listeners) {
    auto problem = FindProblemOf(rule, settings);
    if (!problem.has_value()) continue;
    if (problem->place.empty()) problem->place = rule.place;
    return problem;
  }
  return std::nullopt;
}

}  // namespace tlspost
