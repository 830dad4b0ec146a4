// The command line, and the order of the sources. What the file and the
// environment say is read in settings_toml.cc and environment.cc.

#include "proxy/config.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <set>
#include <utility>

#include "common/base/open_file.h"
#include "common/base/status.h"
#include "proxy/environment.h"
#include "proxy/listener_settings.h"
#include "proxy/setting_source.h"
#include "proxy/settings_problems.h"
#include "proxy/settings_table.h"
#include "proxy/settings_toml.h"

namespace tlspost {
namespace {

constexpr std::string_view kConfigOption = "config";
// Settings are a page of text; a file beyond this is something else.
constexpr size_t kMaxFileBytes = 1 << 20;

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
    if (IsTableOfTheFile(name)) {
      return InvalidAt(shown, IsTableText(name));
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
  ReadSettingsToml(*content, file->path, settings, origins, errors);
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

}  // namespace tlspost
