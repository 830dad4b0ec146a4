// toml++'s nodes into settings.

#include "proxy/settings_toml.h"

#include <utility>
#include <variant>

#include "common/base/status.h"
#include "proxy/settings_table.h"

#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

namespace tlspost {
namespace {

std::string PlaceIn(std::string_view path, const toml::source_position& place) {
  return std::string(path) + ':' + std::to_string(place.line) + ':' +
         std::to_string(place.column);
}

// One value of the file, which is not a list.
absl::Status SetFromToml(const Setting& setting, const toml::node& value,
                         Settings& settings) {
  if (const auto* text = value.as_string()) {
    return SetFromText(setting, text->get(), settings);
  }
  if (const auto* number = value.as_integer()) {
    return SetFromInteger(setting, number->get(), settings);
  }
  if (const auto* boolean = value.as_boolean()) {
    return SetFromBool(setting, boolean->get(), settings);
  }
  return Invalid("has the wrong type; it takes " + setting.hint +
                 (setting.is_bare() ? "" : " in quotes"));
}

absl::Status SetListFromToml(const Setting& setting, const toml::array& values,
                             std::string_view path, Settings& settings) {
  for (const toml::node& value : values) {
    const absl::Status status =
        value.is_string()
            ? SetFromToml(setting, value, settings)
            : Invalid("every element must be " + setting.hint + " in quotes");
    if (!status.ok()) {
      return InvalidAt(
          PlaceIn(path, value.source().begin),
          std::string(setting.name) + ": " + std::string(MessageOf(status)));
    }
  }
  return absl::OkStatus();
}

// --- tables -----------------------------------------------------------------

// Appends a rule for each table of [[name]], as `read` understands it.
template <typename Rule>
absl::Status ReadTables(std::string_view name, const toml::node& value,
                        std::string_view path,
                        absl::Status (*read)(const toml::table& table,
                                             std::string_view path, Rule& rule),
                        std::vector<Rule>& rules) {
  const toml::array* tables = value.as_array();
  if (tables == nullptr || !tables->is_array_of_tables()) {
    const std::string shown(name);
    return InvalidAt(PlaceIn(path, value.source().begin),
                     shown + ": is written as tables: [[" + shown + "]]");
  }
  for (const toml::node& element : *tables) {
    Rule rule;
    rule.place = PlaceIn(path, element.source().begin);
    absl::Status status = read(*element.as_table(), path, rule);
    if (!status.ok()) return status;
    rules.push_back(std::move(rule));
  }
  return absl::OkStatus();
}

// Hands each key of a table to `read(name, value)`, until one is wrong.
template <typename Read>
absl::Status ReadKeys(const toml::table& table, std::string_view path,
                      const Read& read) {
  for (const auto& [key, value] : table) {
    const absl::Status status = read(key.str(), value);
    if (status.ok()) continue;
    return InvalidAt(
        PlaceIn(path, key.source().begin),
        Printable(key.str()) + ": " + std::string(MessageOf(status)));
  }
  return absl::OkStatus();
}

// --- [[tls_policy]] ---------------------------------------------------------

absl::Status ReadStrings(const toml::node& value, std::string_view what,
                         std::vector<std::string>& strings) {
  const toml::array* array = value.as_array();
  const std::string wanted =
      "takes a list of " + std::string(what) + " in quotes: [\"...\"]";
  if (array == nullptr || array->empty()) return Invalid(wanted);
  for (const toml::node& element : *array) {
    const auto* text = element.as_string();
    if (text == nullptr) return Invalid(wanted);
    strings.push_back(text->get());
  }
  return absl::OkStatus();
}

absl::Status ReadPolicyKey(std::string_view name, const toml::node& value,
                           TlsPolicyRule& rule) {
  if (name == "clients") return ReadStrings(value, "networks", rule.clients);
  if (name == "sni") return ReadStrings(value, "names", rule.sni);
  const Setting* setting = IsTlsTerm(name) ? FindSetting(name) : nullptr;
  if (setting == nullptr) {
    std::string known = "clients, sni";
#define TLSPOST_NAME_TERM(type, term) known += ", " #term;
    TLSPOST_TLS_TERMS(TLSPOST_NAME_TERM)
#undef TLSPOST_NAME_TERM
    return Invalid("is not for a [[tls_policy]], which takes " + known);
  }
  Settings scratch;
  const absl::Status status = SetFromToml(*setting, value, scratch);
  if (!status.ok()) return status;
  rule.changes.emplace_back(name, FormatValue(*setting, scratch));
  return absl::OkStatus();
}

absl::Status ReadPolicy(const toml::table& table, std::string_view path,
                        TlsPolicyRule& rule) {
  return ReadKeys(table, path,
                  [&](std::string_view name, const toml::node& value) {
                    return ReadPolicyKey(name, value, rule);
                  });
}

// --- [[listener]] -----------------------------------------------------------

absl::Status ReadListenerTls(const toml::node& value, ListenerRule& rule) {
  const auto* word = value.as_string();
  const bool known = word != nullptr &&
                     (word->get() == "starttls" || word->get() == "implicit");
  if (!known) {
    return Invalid("takes \"starttls\" or \"implicit\"");
  }
  rule.implicit_tls = word->get() == "implicit";
  return absl::OkStatus();
}

absl::Status ReadListenerSetting(std::string_view name, const toml::node& value,
                                 std::string_view path, ListenerRule& rule) {
  const Setting* setting = FindSetting(name);
  if (setting == nullptr) {
    return Invalid(UnknownSetting(name, "",
                                  "a [[listener]] takes address, tls and "
                                  "settings; see the sample file for which"));
  }
  if (!setting->per_listener) {
    return Invalid(
        "is the same at all addresses; it stands above the "
        "first table");
  }
  Settings scratch;
  ClearList(*setting, scratch);
  const bool is_list = setting->repeatable() && value.is_array();
  const absl::Status status =
      is_list ? SetListFromToml(*setting, *value.as_array(), path, scratch)
              : SetFromToml(*setting, value, scratch);
  if (!status.ok()) return status;
  std::vector<std::string> texts = {FormatValue(*setting, scratch)};
  if (setting->repeatable()) {
    texts = scratch.*std::get<Settings::List Settings::*>(setting->member);
  }
  rule.changes.emplace_back(name, std::move(texts));
  return absl::OkStatus();
}

absl::Status ReadListenerKey(std::string_view name, const toml::node& value,
                             std::string_view path, ListenerRule& rule) {
  if (name == "tls") return ReadListenerTls(value, rule);
  if (name != "address") return ReadListenerSetting(name, value, path, rule);
  const auto* text = value.as_string();
  if (text == nullptr) return ReadStrings(value, "addresses", rule.addresses);
  rule.addresses.push_back(text->get());
  return absl::OkStatus();
}

absl::Status ReadListener(const toml::table& table, std::string_view path,
                          ListenerRule& rule) {
  absl::Status status = ReadKeys(
      table, path, [&](std::string_view name, const toml::node& value) {
        return ReadListenerKey(name, value, path, rule);
      });
  if (status.ok() && rule.addresses.empty()) {
    status = InvalidAt(
        rule.place, "listener: has no address; write address = \"HOST:PORT\"");
  }
  return status;
}

// --- the file ---------------------------------------------------------------

// One key at the top of the file: a table, or a setting that there is.
absl::Status ReadKey(std::string_view name, const toml::node& value,
                     std::string_view path, Settings& settings) {
  if (name == kPolicyTable) {
    return ReadTables(name, value, path, ReadPolicy, settings.tls_policy);
  }
  if (name == kListenerTable) {
    return ReadTables(name, value, path, ReadListener, settings.listeners);
  }
  const Setting& setting = *FindSetting(name);
  ClearList(setting, settings);
  if (setting.repeatable() && value.is_array()) {
    return SetListFromToml(setting, *value.as_array(), path, settings);
  }
  const absl::Status status = SetFromToml(setting, value, settings);
  if (status.ok()) return status;
  return InvalidAt(PlaceIn(path, value.source().begin),
                   std::string(name) + ": " + std::string(MessageOf(status)));
}

}  // namespace

void ReadSettingsToml(std::string_view toml, std::string_view path,
                      Settings& settings, SettingOrigins& origins,
                      std::vector<absl::Status>& errors) {
  const toml::parse_result parsed = toml::parse(toml, path);
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    return errors.push_back(InvalidAt(PlaceIn(path, error.source().begin),
                                      Printable(error.description())));
  }
  for (const auto& [key, value] : parsed.table()) {
    const std::string_view name = key.str();
    const std::string place = PlaceIn(path, key.source().begin);
    const bool is_table = IsTableOfTheFile(name);
    if (!is_table && FindSetting(name) == nullptr) {
      errors.push_back(
          InvalidAt(place + ": " + Printable(name),
                    UnknownSetting(name, "", "see tlspost --help for all")));
      continue;
    }
    if (!is_table) origins.insert_or_assign(std::string(name), place);
    absl::Status status = ReadKey(name, value, path, settings);
    if (!status.ok()) errors.push_back(std::move(status));
  }
}

absl::Status ReadSettingsText(std::string_view toml, std::string_view path,
                              Settings& settings, SettingOrigins& origins) {
  std::vector<absl::Status> errors;
  ReadSettingsToml(toml, path, settings, origins, errors);
  return errors.empty() ? absl::OkStatus() : errors.front();
}

}  // namespace tlspost
