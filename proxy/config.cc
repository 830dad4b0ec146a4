// The command line and the TOML file; what the environment says is read in
// environment.cc.

#include "proxy/config.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <set>
#include <utility>
#include <variant>

#include "common/base/open_file.h"
#include "common/base/status.h"
#include "common/smtp/text.h"
#include "proxy/environment.h"
#include "proxy/listener_settings.h"
#include "proxy/settings_problems.h"
#include "proxy/settings_table.h"

#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

namespace tlspost {
namespace {

constexpr std::string_view kConfigOption = "config";
// Settings are a page of text; a file beyond this is something else.
constexpr size_t kMaxFileBytes = 1 << 20;

absl::Status InvalidAt(std::string_view where, std::string_view what) {
  return MakeStatus(absl::StatusCode::kInvalidArgument,
                    std::string(where) + ": " + std::string(what));
}

// Text of unknown origin, on one line.
std::string Printable(std::string_view text) {
  return smtp::OnOneLine(text.substr(0, 200));
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

std::string PlaceIn(std::string_view path, const toml::source_position& place) {
  return std::string(path) + ':' + std::to_string(place.line) + ':' +
         std::to_string(place.column);
}

// `option` is what names the file: "--config".
absl::StatusOr<std::string> ReadFile(const std::string& path,
                                     std::string_view option) {
  const int descriptor = OpenFile(path, FileUse::kRead);
  const std::string place = std::string(option) + '=' + Printable(path);
  const auto failed = [&place](int error) {
    return InvalidAt(place,
                     std::string("cannot be read: ") + std::strerror(error));
  };
  if (descriptor < 0) return failed(errno);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(
      fdopen(descriptor, "rb"), std::fclose);
  std::string content(kMaxFileBytes + 1, '\0');
  const size_t size = std::fread(content.data(), 1, content.size(), file.get());
  if (std::ferror(file.get()) != 0) return failed(errno);
  if (size > kMaxFileBytes) {
    return InvalidAt(place, "is larger than 1 MiB, so it is no settings file");
  }
  content.resize(size);
  return content;
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
  return MakeStatus(absl::StatusCode::kInvalidArgument,
                    "has the wrong type; it takes " + setting.hint +
                        (setting.is_bare() ? "" : " in quotes"));
}

absl::Status SetListFromToml(const Setting& setting, const toml::array& values,
                             std::string_view path, Settings& settings) {
  for (const toml::node& value : values) {
    const absl::Status status =
        value.is_string() ? SetFromToml(setting, value, settings)
                          : MakeStatus(absl::StatusCode::kInvalidArgument,
                                       "every element must be " + setting.hint +
                                           " in quotes");
    if (!status.ok()) {
      return InvalidAt(
          PlaceIn(path, value.source().begin),
          std::string(setting.name) + ": " + std::string(MessageOf(status)));
    }
  }
  return absl::OkStatus();
}

// --- [[tls_policy]] ---

constexpr std::string_view kPolicyTable = "tls_policy";

absl::Status ReadStrings(const toml::node& value, std::string_view what,
                         std::vector<std::string>& strings) {
  const toml::array* array = value.as_array();
  const std::string wanted =
      "takes a list of " + std::string(what) + " in quotes: [\"...\"]";
  if (array == nullptr || array->empty()) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, wanted);
  }
  for (const toml::node& element : *array) {
    const auto* text = element.as_string();
    if (text == nullptr) {
      return MakeStatus(absl::StatusCode::kInvalidArgument, wanted);
    }
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
    return MakeStatus(absl::StatusCode::kInvalidArgument,
                      "is not for a [[tls_policy]], which takes " + known);
  }
  Settings scratch;
  const absl::Status status = SetFromToml(*setting, value, scratch);
  if (!status.ok()) return status;
  rule.changes.emplace_back(name, FormatValue(*setting, scratch));
  return absl::OkStatus();
}

absl::Status ReadPolicies(const toml::node& value, std::string_view path,
                          Settings& settings) {
  const toml::array* tables = value.as_array();
  if (tables == nullptr || !tables->is_array_of_tables()) {
    return InvalidAt(PlaceIn(path, value.source().begin),
                     "tls_policy: is written as tables: [[tls_policy]]");
  }
  for (const toml::node& element : *tables) {
    TlsPolicyRule rule;
    rule.place = PlaceIn(path, element.source().begin);
    for (const auto& [key, node] : *element.as_table()) {
      const absl::Status status = ReadPolicyKey(key.str(), node, rule);
      if (!status.ok()) {
        return InvalidAt(
            PlaceIn(path, key.source().begin),
            Printable(key.str()) + ": " + std::string(MessageOf(status)));
      }
    }
    settings.tls_policy.push_back(std::move(rule));
  }
  return absl::OkStatus();
}

// --- [[listener]] ---

constexpr std::string_view kListenerTable = "listener";

absl::Status ReadListenerTls(const toml::node& value, ListenerRule& rule) {
  const auto* word = value.as_string();
  const bool known = word != nullptr &&
                     (word->get() == "starttls" || word->get() == "implicit");
  if (!known) {
    return MakeStatus(absl::StatusCode::kInvalidArgument,
                      "takes \"starttls\" or \"implicit\"");
  }
  rule.implicit_tls = word->get() == "implicit";
  return absl::OkStatus();
}

absl::Status ReadListenerSetting(std::string_view name, const toml::node& value,
                                 std::string_view path, ListenerRule& rule) {
  const Setting* setting = FindSetting(name);
  if (setting == nullptr) {
    return MakeStatus(
        absl::StatusCode::kInvalidArgument,
        UnknownSetting(name, "",
                       "a [[listener]] takes address, tls and "
                       "settings; see the sample file for which"));
  }
  if (!setting->per_listener) {
    return MakeStatus(absl::StatusCode::kInvalidArgument,
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

absl::Status ReadListeners(const toml::node& value, std::string_view path,
                           Settings& settings) {
  const toml::array* tables = value.as_array();
  if (tables == nullptr || !tables->is_array_of_tables()) {
    return InvalidAt(PlaceIn(path, value.source().begin),
                     "listener: is written as tables: [[listener]]");
  }
  for (const toml::node& element : *tables) {
    ListenerRule rule;
    rule.place = PlaceIn(path, element.source().begin);
    for (const auto& [key, node] : *element.as_table()) {
      const absl::Status status = ReadListenerKey(key.str(), node, path, rule);
      if (!status.ok()) {
        return InvalidAt(
            PlaceIn(path, key.source().begin),
            Printable(key.str()) + ": " + std::string(MessageOf(status)));
      }
    }
    if (rule.addresses.empty()) {
      return InvalidAt(rule.place,
                       "listener: has no address; write address = "
                       "\"HOST:PORT\"");
    }
    settings.listeners.push_back(std::move(rule));
  }
  return absl::OkStatus();
}

// Reads the options that are not --config.
class CommandLine {
 public:
  CommandLine(Settings& settings, SettingOrigins& origins)
      : settings_(settings), origins_(origins) {}

  absl::Status Apply(std::string_view option) {
    const std::string_view body = option.substr(2);
    const size_t equals = body.find('=');
    const std::string_view name = body.substr(0, equals);
    const std::string shown = "--" + Printable(name);
    if (name == kPolicyTable || name == kListenerTable) {
      return InvalidAt(shown, "is a table of the settings file: [[" +
                                  std::string(name) + "]]");
    }
    const Setting* setting = FindSetting(name);
    if (setting == nullptr) {
      return InvalidAt(shown, UnknownSetting(name, "--", "see tlspost --help"));
    }
    const bool first = seen_.insert(setting->name).second;
    if (!first && !setting->repeatable()) {
      return InvalidAt(shown, "is given twice; give it once");
    }
    if (first) ClearList(*setting, settings_);
    std::string_view value = "yes";
    if (equals != std::string_view::npos) {
      value = body.substr(equals + 1);
    } else if (!setting->is_bool()) {
      return InvalidAt(shown, "needs a value: " + shown + '=' + setting->hint);
    }
    origins_.insert_or_assign(std::string(setting->name), shown);
    const absl::Status status = SetFromText(*setting, value, settings_);
    return status.ok() ? status : InvalidAt(shown, MessageOf(status));
  }

 private:
  Settings& settings_;
  SettingOrigins& origins_;
  std::set<std::string_view> seen_;
};

// The FILE of --config=FILE, which may stand anywhere; empty without one.
absl::StatusOr<std::string> FindConfigFile(std::span<const char* const> args) {
  std::string path;
  for (const std::string_view arg : args) {
    if (!arg.starts_with("--")) {
      return InvalidAt(Printable(arg),
                       "is no option; options are written --name=value");
    }
    const std::string_view body = arg.substr(2);
    if (body.substr(0, body.find('=')) != kConfigOption) continue;
    if (body.size() <= kConfigOption.size() + 1) {
      return InvalidAt("--config", "needs a value: --config=FILE");
    }
    if (!path.empty()) {
      return InvalidAt("--config", "is given twice; give it once");
    }
    path = body.substr(kConfigOption.size() + 1);
  }
  return path;
}

// Settings whose default depends on others or on the machine.
absl::Status FillIn(const SettingOrigins& origins, Settings& settings) {
  const bool is_mode_given = origins.find("pool_mode") != origins.end();
  if (settings.backend_identity == BackendIdentity::kProxy && !is_mode_given) {
    settings.pool_mode = PoolMode::kSession;
  }
  // Who lists the addresses in tables has no other in mind.
  const bool listen_given = origins.find("listen") != origins.end();
  if (!settings.listeners.empty() && !listen_given) settings.listen.clear();
  if (settings.tls_key_file.empty()) {
    settings.tls_key_file = settings.tls_cert_file;
  }
  if (settings.hostname.empty()) {
    char name[256] = {};
    if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0') {
      return InvalidAt("hostname",
                       "the system has no host name; set --hostname=NAME");
    }
    settings.hostname = name;
  }
  return FillInPolicies(settings);
}

// One key at the top of the file: a table, or a setting that there is.
absl::Status ReadKey(std::string_view name, const toml::node& value,
                     std::string_view path, Settings& settings) {
  if (name == kPolicyTable) return ReadPolicies(value, path, settings);
  if (name == kListenerTable) return ReadListeners(value, path, settings);
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

// Reads all that can be read, and says of the rest why not.
void ReadToml(std::string_view toml, std::string_view path, Settings& settings,
              SettingOrigins& origins, std::vector<absl::Status>& errors) {
  const toml::parse_result parsed = toml::parse(toml, path);
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    return errors.push_back(InvalidAt(PlaceIn(path, error.source().begin),
                                      Printable(error.description())));
  }
  for (const auto& [key, value] : parsed.table()) {
    const std::string_view name = key.str();
    const std::string place = PlaceIn(path, key.source().begin);
    const bool is_table = name == kPolicyTable || name == kListenerTable;
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

struct SettingsFile {
  std::string path;         // empty: there is none
  std::string_view option;  // what names it
};

// Of --config=FILE or TLSPOST_CONFIG.
absl::StatusOr<SettingsFile> LocateSettingsFile(
    std::span<const char* const> args, const std::vector<Variable>& variables) {
  auto path = FindConfigFile(args);
  if (!path.ok()) return path.status();
  if (!path->empty()) return SettingsFile{*std::move(path), "--config"};
  return SettingsFile{ConfigFileOf(variables), kConfigVariable};
}

// Puts what the file, if there is one, says into `settings`.
void ReadConfigFile(std::span<const char* const> args,
                    const std::vector<Variable>& variables, Settings& settings,
                    SettingOrigins& origins,
                    std::vector<absl::Status>& errors) {
  const auto file = LocateSettingsFile(args, variables);
  if (!file.ok()) return errors.push_back(file.status());
  if (file->path.empty()) return;
  const auto content = ReadFile(file->path, file->option);
  if (!content.ok()) return errors.push_back(content.status());
  ReadToml(*content, file->path, settings, origins, errors);
}

// What the file and the command line say, in this order; where it stands.
void ReadGiven(std::span<const char* const> args, Settings& settings,
               SettingOrigins& origins, std::vector<absl::Status>& errors) {
  const std::vector<Variable> variables = OurVariables();
  ReadConfigFile(args, variables, settings, origins, errors);
  ReadVariables(variables, settings, origins, errors);
  CommandLine command_line(settings, origins);
  for (const std::string_view arg : args) {
    // FindConfigFile has seen what is no option.
    const bool is_setting = arg.starts_with("--") && arg != "--config" &&
                            !arg.starts_with("--config=");
    if (!is_setting) continue;
    absl::Status status = command_line.Apply(arg);
    if (!status.ok()) errors.push_back(std::move(status));
  }
}

absl::Status InPlace(const SettingsProblem& problem,
                     const SettingOrigins& origins) {
  const std::string name(problem.setting);
  if (!problem.place.empty()) {
    return InvalidAt(problem.place, name + ": " + problem.text);
  }
  const auto origin = origins.find(problem.setting);
  if (origin == origins.end()) return InvalidAt(name, problem.text);
  const bool names_it = origin->second == "--" + name ||
                        origin->second.starts_with(kVariablePrefix);
  if (names_it) return InvalidAt(origin->second, problem.text);
  return InvalidAt(origin->second, name + ": " + problem.text);
}

}  // namespace

absl::StatusOr<Settings> LoadSettings(std::span<const char* const> args) {
  std::vector<absl::Status> errors;
  std::optional<Settings> settings = LoadSettings(args, errors);
  if (!settings.has_value()) return errors.front();
  return *std::move(settings);
}

std::optional<Settings> LoadSettings(std::span<const char* const> args,
                                     std::vector<absl::Status>& errors) {
  SettingOrigins origins;
  return LoadSettings(args, origins, errors);
}

std::optional<Settings> LoadSettings(std::span<const char* const> args,
                                     SettingOrigins& origins,
                                     std::vector<absl::Status>& errors) {
  Settings settings;
  ReadGiven(args, settings, origins, errors);
  // What goes with what cannot be told of values that were not understood.
  if (!errors.empty()) return std::nullopt;
  absl::Status filled = FillIn(origins, settings);
  if (!filled.ok()) {
    errors.push_back(std::move(filled));
    return std::nullopt;
  }
  for (const SettingsProblem& problem : FindSettingsProblems(settings)) {
    errors.push_back(InPlace(problem, origins));
  }
  if (!errors.empty()) return std::nullopt;
  return settings;
}

std::string FindSettingsFile(std::span<const char* const> args) {
  const auto file = LocateSettingsFile(args, OurVariables());
  return file.ok() ? file->path : "";
}

std::string FindControlSocket(std::span<const char* const> args,
                              std::vector<absl::Status>& errors) {
  Settings settings;
  SettingOrigins origins;
  ReadGiven(args, settings, origins, errors);
  return settings.control_socket;
}

absl::Status ReadSettingsText(std::string_view toml, std::string_view path,
                              Settings& settings, SettingOrigins& origins) {
  std::vector<absl::Status> errors;
  ReadToml(toml, path, settings, origins, errors);
  return errors.empty() ? absl::OkStatus() : errors.front();
}

}  // namespace tlspost
