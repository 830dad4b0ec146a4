#include "proxy/settings_man.h"

#include <string_view>

#include "proxy/settings_help.h"
#include "proxy/settings_table.h"

namespace tlspost {
namespace {

constexpr std::string_view kCommandEnd = R"(.SH ENVIRONMENT
.TP
.B TLSPOST_\fINAME\fP
A setting, as said above.
.TP
.B TLSPOST_CONFIG
The settings file, where no \fB\-\-config\fP names another.
.TP
.BR NOTIFY_SOCKET ", " WATCHDOG_USEC
Set by
.BR systemd (1)
for a service of Type=notify. It hears when mail is served, when a reload
begins and ends, when the end begins, how many clients there are and, while all
workers take their turns, that the service is alive.
.SH SIGNALS
.TP
.B SIGHUP
Certificates, keys and what else is named in the settings is read again. What is
wrong changes nothing but the log.
.TP
.BR SIGTERM ", " SIGINT
Idle clients hear 421, open transactions get
.I drain_timeout
to finish, then the program ends. A second one ends it at once.
.SH "EXIT STATUS"
0 when all went well; 1 when a setting is wrong, a start was not possible, a
check has failed, or a drain had to cut off a client; 2 for an unknown command.
Every error is one line on standard error that names the thing and the remedy.
.SH FILES
.TP
.I /etc/tlspost/tlspost.toml
The settings of the service, see
.BR tlspost.toml (5).
.TP
.I /usr/share/doc/tlspost/examples/tlspost.toml
Every setting with its default.
.SH "SEE ALSO"
.BR tlspost.toml (5),
.BR postfix (1),
.BR systemd.service (5)
)";

constexpr std::string_view kFileForm = R"(.SH NAME
tlspost.toml \- settings of the tlspost mail proxy
.SH DESCRIPTION
The file that
.BR tlspost (8)
reads with \fB\-\-config=FILE\fP: TOML, a line for each setting:
.PP
.nf
.RS
hostname = "mx.example.org"
listen = ["0.0.0.0:25"]
backend = ["127.0.0.1:10025"]
tls_cert_file = "/etc/tlspost/fullchain.pem"
tls_key_file = "/etc/tlspost/privkey.pem"
.RE
.fi
.PP
Text stands in quotes. Durations do too, with a unit: "500ms", "30s", "5m",
"1h". Sizes are bytes, or in quotes with k, M or G: "20M". Switches are true or
false. A setting that is a list takes one or several in brackets. An unknown
name, a wrong type or values that do not go together are an error that names
the line.
.PP
What the command line or the environment says wins over the file.
.PP
Tables stand at the end of the file.
.B [[listener]]
has other settings for one address, or for a list of them: its keys are
.I address,
.I tls
("starttls" or "implicit") and the settings marked "per listener" below.
.B [[tls_policy]]
has other TLS for some clients: its keys are
.I clients
(networks),
.I sni
(names that are asked for) and
.IR tls_security_level ,
.IR tls_protocols ,
.IR tls_cipherlist ,
.IR tls_ciphersuites ,
.IR tls_eecdh_auto_curves ,
.IR tls_ask_ccert " and"
.IR tls_req_ccert .
)";

// Text as roff has it: nothing in it is a request or an escape.
std::string Roff(std::string_view text) {
  std::string roff;
  if (text.starts_with('.') || text.starts_with('\'')) roff = "\\&";
  for (const char c : text) {
    if (c == '\\') {
      roff += "\\e";
    } else if (c == '"') {
      roff += "\\(dq";
    } else if (c == '-') {
      roff += "\\-";
    } else {
      roff += c;
    }
  }
  return roff;
}

std::string Title(std::string_view name, std::string_view section,
                  std::string_view manual) {
  std::string title = ".\\\" Written by tlspost itself; see proxy/";
  title.append("settings_man.cc.\n.TH ").append(name).append(" ");
  title.append(section).append(" \"\" \"tlspost\" \"").append(manual);
  // Names of settings are not to be hyphenated.
  return title.append("\"\n.nh\n.ad l\n");
}

// The usage text: each command with what it does, then paragraphs.
std::string FormatUsageSection() {
  constexpr std::string_view kCommand = "  tlspost";
  constexpr std::string_view kIndent = "      ";
  std::string section = ".SH COMMANDS\n";
  bool is_first_line = true;  // which says what the program is
  for (std::string_view rest = UsageText(); !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(line.size() + (line.size() < rest.size() ? 1 : 0));
    if (is_first_line || line == "Usage:") {
      is_first_line = false;
    } else if (line.starts_with(kCommand)) {
      section.append(".TP\n.B ").append(Roff(line.substr(2))).append("\n");
    } else if (line.starts_with(kIndent)) {
      section.append(Roff(line.substr(kIndent.size()))).append("\n");
    } else if (line.empty()) {
      section.append(".PP\n");
    } else {
      section.append(Roff(line)).append("\n");
    }
  }
  return section;
}

}  // namespace

std::string FormatCommandManual() {
  std::string manual = Title("TLSPOST", "8", "System Administration");
  manual +=
      ".SH NAME\n"
      "tlspost \\- mail proxy that terminates TLS and pools connections\n"
      ".SH SYNOPSIS\n"
      ".B tlspost\n"
      "[\\fICOMMAND\\fP] [\\fB\\-\\-config=\\fP\\fIFILE\\fP] "
      "[\\fB\\-\\-\\fP\\fIname\\fP\\fB=\\fP\\fIvalue\\fP]...\n"
      ".SH DESCRIPTION\n"
      "tlspost stands in front of a mail server. It accepts SMTP from many\n"
      "clients at once, speaks TLS with them, says so in a Received header,\n"
      "and passes the mail on over a few connections that all of them share.\n"
      "It queues nothing: a client hears 250 only after the mail server has\n"
      "said so. Every setting of\n"
      ".BR tlspost.toml (5)\n"
      "is an option, too.\n";
  return manual.append(FormatUsageSection()).append(kCommandEnd);
}

std::string FormatSettingsManual() {
  const Settings defaults;
  std::string manual = Title("TLSPOST.TOML", "5", "File Formats");
  manual.append(kFileForm).append(".SH SETTINGS\n");
  std::string_view group;
  for (const Setting& setting : AllSettings()) {
    if (setting.group != group) {
      group = setting.group;
      manual.append(".SS ").append(Roff(group)).append("\n");
    }
    manual.append(".TP\n.BR ").append(setting.name).append(" \" = ");
    manual.append(Roff(setting.hint)).append("\"\n");
    manual.append(Roff(setting.help)).append("\n.br\nDefault: ");
    manual.append(Roff(FormatTomlValue(setting, defaults)));
    if (setting.repeatable()) manual.append(". A list");
    if (setting.per_listener) manual.append(". Per listener");
    manual.append(".\n");
  }
  return manual.append(".SH \"SEE ALSO\"\n.BR tlspost (8)\n");
}

}  // namespace tlspost
