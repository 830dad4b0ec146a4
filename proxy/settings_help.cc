// Three renderings of the settings' table.

#include "proxy/settings_help.h"

#include <vector>

#include "common/tls/tls_library.h"
#include "proxy/import/postfix_table.h"
#include "proxy/metrics.h"
#include "proxy/settings_man.h"
#include "proxy/settings_table.h"

namespace tlspost {
namespace {

constexpr size_t kWidth = 79;

constexpr std::string_view kUsage =
    R"(tlspost: a proxy that terminates TLS in front of a mail server.

Usage:
  tlspost [serve] [--config=FILE] [--name=value]...
      Accepts mail and passes it on. The command line wins over the
      environment, and that over the file.
  tlspost check [--config=FILE] [--name=value]... [--json] [--strict]
      Looks at all that can be known before serving: settings, certificates,
      ports, limits, backends. A line for each, OK, NOTE, WARN or FAIL; exit
      status 1 if anything fails, with --strict also if there is a warning.
      Delivers nothing.
  tlspost reload [--config=FILE] [--name=value]...
      Asks the tlspost that runs, by its control_socket, to read its settings
      and certificates anew, and waits. Exit status 0: all is in force; 3: part
      of it is kept until a restart; 1: nothing has changed.
  tlspost trace [--config=FILE] [--name=value]... NETWORK...
      Shows, as it happens, what clients in these networks and tlspost say to
      each other; no messages, no passwords. Asks as reload does.
  tlspost report [--config=FILE] [--name=value]... [--json]
      Asks the running tlspost, at admin_listen, who still sends without TLS or
      in an old version, and what stricter settings would have refused.
  tlspost import-postfix /etc/postfix/main.cf
      Prints the settings that correspond to a Postfix's, for --config=FILE.
  tlspost demo [--keep]
      Shows the whole way of a message, with nothing to set up.
  tlspost healthcheck [--config=FILE] [--name=value]...
      Whether the tlspost with these settings greets at all its addresses;
      exit status 0 or 1.
  tlspost container [--config=FILE] [--name=value]...
      What the image does by itself: serve, or without any setting demo.
  tlspost --help
  tlspost --version
      Its own, and that of the OpenSSL it has found here.

Values: durations have a unit (500ms, 30s, 5m, 1h), sizes are bytes or have
one (64k, 10M, 1G), switches take yes or no. A setting marked "repeatable" may
be given several times; in the file it is a list.

In the environment a setting is TLSPOST_ and its name in capitals, and a list
is parted by commas: TLSPOST_BACKEND=mail:25. TLSPOST_CONFIG=FILE is --config.
)";

// Tables come last: in TOML all keys behind one belong to it.
constexpr std::string_view kSamplePolicy =
    R"(
# --- Other TLS for some clients ---

# Each table is for the clients (networks), the names that are asked for
# (sni), or both; the first that fits applies. It may change tls_security_level
# (without sni), tls_protocols, tls_cipherlist, tls_ciphersuites,
# tls_eecdh_auto_curves, tls_ask_ccert and tls_req_ccert. For example:
#
# [[tls_policy]]
# clients = ["192.168.7.0/24"]
# tls_protocols = ">=TLSv1"
)";

constexpr std::string_view kSampleListener =
    R"(
# --- Other settings at some addresses ---

# Each table is for one address, or for a list of them; tls = "implicit" has
# TLS from the first octet (port 465). With tables listen has no default.
# [[tls_policy]] tables apply on top. For example:
#
# [[listener]]
# address = "0.0.0.0:587"
# tls = "starttls"
# tls_security_level = "encrypt"
#
# A table may change:
)";

// `text` in lines of at most `width` characters, each with `prefix`.
std::string Wrap(std::string_view text, std::string_view prefix) {
  std::string wrapped;
  std::string line;
  while (!text.empty()) {
    const size_t space = text.find(' ');
    const std::string_view word = text.substr(0, space);
    text.remove_prefix(space == std::string_view::npos ? text.size()
                                                       : space + 1);
    const size_t length = prefix.size() + line.size() + 1 + word.size();
    if (!line.empty() && length > kWidth) {
      wrapped.append(prefix).append(line).append("\n");
      line.clear();
    }
    if (!line.empty()) line += ' ';
    line += word;
  }
  return wrapped.append(prefix).append(line).append("\n");
}

std::string Marks(const Setting& setting) {
  return setting.repeatable() ? " (repeatable)" : "";
}

// Escapes what Markdown would take for the end of a cell or for markup.
std::string Cell(std::string_view text) {
  std::string cell;
  for (const char c : text) {
    if (c == '|' || c == '<' || c == '_' || c == '*') cell += '\\';
    cell += c;
  }
  return cell;
}

std::string Code(std::string_view text) {
  if (text.empty()) return "";
  std::string code = "`";
  for (const char c : text) {
    if (c == '|') code += '\\';
    code += c;
  }
  return code + '`';
}

}  // namespace

std::string_view UsageText() { return kUsage; }

std::string FormatHelp() {
  const Settings defaults;
  std::string help(kUsage);
  std::string_view group;
  for (const Setting& setting : AllSettings()) {
    if (setting.group != group) {
      group = setting.group;
      help.append("\n").append(group).append(":\n");
    }
    const std::string value = FormatValue(setting, defaults);
    help.append("  --").append(setting.name).append("=").append(setting.hint);
    help.append(Marks(setting)).append("\n");
    help += Wrap(setting.help, "      ");
    if (!value.empty())
      help.append("      Default: ").append(value).append("\n");
  }
  return help;
}

std::string FormatSampleToml() {
  const Settings defaults;
  std::string sample =
      "# Settings of tlspost, each with its default. Take the '#' off a line\n"
      "# to change it, and start with --config=FILE. Durations have a unit: "
      "ms, s,\n"
      "# m or h. Written by scripts/generate.\n";
  std::string_view group;
  for (const Setting& setting : AllSettings()) {
    if (setting.group != group) {
      group = setting.group;
      sample.append("\n# --- ").append(group).append(" ---\n");
    }
    sample += '\n';
    sample += Wrap(setting.help, "# ");
    sample.append("# Values: ").append(setting.hint).append(Marks(setting));
    sample.append("\n#").append(setting.name).append(" = ");
    sample.append(FormatTomlValue(setting, defaults)).append("\n");
  }
  std::string per_listener;
  for (const Setting& setting : AllSettings()) {
    if (!setting.per_listener) continue;
    if (!per_listener.empty()) per_listener += ", ";
    per_listener += setting.name;
  }
  sample.append(kSampleListener).append(Wrap(per_listener, "#   "));
  return sample.append(kSamplePolicy);
}

std::string FormatSettingsTable() {
  const Settings defaults;
  std::string table(kSettingsTableBegin);
  std::string_view group;
  for (const Setting& setting : AllSettings()) {
    if (setting.group != group) {
      group = setting.group;
      table.append("\n\n**").append(group).append("**\n\n");
      table.append("| Setting | Values | Default | Reload | What it does |\n");
      table.append("| --- | --- | --- | --- | --- |");
    }
    table.append("\n| ").append(Code(setting.name));
    table.append(" | ").append(Code(setting.hint)).append(Marks(setting));
    table.append(" | ").append(Code(FormatValue(setting, defaults)));
    table.append(setting.needs_restart ? " | no" : " | yes");
    table.append(" | ").append(Cell(setting.help)).append(" |");
  }
  return table.append("\n\n").append(kSettingsTableEnd);
}

std::optional<std::string> FindPrintout(std::string_view option) {
  if (option == "--help" || option == "-h") return FormatHelp();
  if (option == "--version" || option == "-V") {
    std::string version("tlspost ");
    version.append(ProgramVersion()).append("\n");
    return version.append(tls::LibraryVersion()).append("\n");
  }
  if (option == "--print-sample") return FormatSampleToml();
  if (option == "--print-settings-table") return FormatSettingsTable() + "\n";
  if (option == "--print-metrics-table") return FormatMetricsTable() + "\n";
  if (option == "--print-postfix-table") return FormatPostfixTable() + "\n";
  if (option == "--print-man-command") return FormatCommandManual();
  if (option == "--print-man-settings") return FormatSettingsManual();
  return std::nullopt;
}

}  // namespace tlspost
