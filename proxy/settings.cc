// Which settings do not go together. Each value by itself is checked where it
// is read (settings_table.cc).

#include "proxy/settings.h"

#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "common/base/status.h"
#include "common/io/endpoint.h"
#include "common/io/network.h"
#include "common/smtp/capabilities.h"
#include "proxy/listener_settings.h"
#include "proxy/settings_problems.h"

namespace tlspost {
namespace {

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

bool IsName(std::string_view text) {
  return !text.empty() && text.size() <= 255 &&
         std::all_of(text.begin(), text.end(), IsNameCharacter);
}

// A host name, or an address literal as RFC 5321 4.1.3 writes it.
bool IsHostName(std::string_view text) {
  if (text.size() < 3 || text.front() != '[' || text.back() != ']') {
    return IsName(text);
  }
  const std::string_view inner = text.substr(1, text.size() - 2);
  return inner.size() <= 255 &&
         std::all_of(inner.begin(), inner.end(),
                     [](char c) { return IsNameCharacter(c) || c == ':'; });
}

std::optional<SettingsProblem> FindNameProblem(const Settings& settings) {
  if (!settings.hostname.empty() && !IsHostName(settings.hostname)) {
    return SettingsProblem{"hostname",
                           "is no host name; use letters, digits, '-' and '.', "
                           "as in mx.example.org"};
  }
  if (!IsName(settings.mail_name)) {
    return SettingsProblem{"mail_name",
                           "must be one word of letters, digits, '-', '.' and "
                           "'_'"};
  }
  if (!IsName(settings.syslog_name)) {
    return SettingsProblem{"syslog_name",
                           "must be one word of letters, digits, '-', '.' and "
                           "'_'"};
  }
  return std::nullopt;
}

// Addresses are looked up later (common/io/endpoint.h); here it is only seen
// that one is written as it must be. Returns what is wrong, or nothing.
std::string FindPathFault(std::string_view path) {
  constexpr size_t kLongest = sizeof(sockaddr_un{}.sun_path) - 1;
  if (path.empty() || path.front() != '/') {
    return "unix: needs an absolute path: unix:/PATH";
  }
  if (path.size() > kLongest) {
    return "the path of the socket is longer than " + std::to_string(kLongest) +
           " bytes; use a shorter one";
  }
  return {};
}

std::string FindHostPortFault(std::string_view text) {
  const std::string quoted = '"' + std::string(text) + '"';
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || text.ends_with(']')) {
    return quoted + " has no port; write HOST:PORT";
  }
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return quoted + " needs brackets around an IPv6 address: [ADDRESS]:PORT";
  }
  const bool good_host = !host.empty() && host.size() <= 255 &&
                         std::all_of(host.begin(), host.end(), [](char c) {
                           return IsNameCharacter(c) || c == ':' || c == '%';
                         });
  if (!good_host) {
    return quoted +
           " has no host; write HOST:PORT, with 0.0.0.0 or [::] to "
           "listen on all addresses";
  }
  uint32_t number = 0;
  const char* end = port.data() + port.size();
  const auto [rest, error] = std::from_chars(port.data(), end, number);
  if (error != std::errc() || rest != end || number > 65535) {
    return quoted + " has no port from 0 to 65535 after the ':'";
  }
  return {};
}

std::optional<SettingsProblem> FindListenProblem(const Settings& settings) {
  if (settings.listen.empty() && settings.listen_tls.empty() &&
      settings.listeners.empty()) {
    return SettingsProblem{"listen", "is empty; give at least one HOST:PORT"};
  }
  for (const auto& [setting, addresses] :
       {std::pair("listen", &settings.listen),
        std::pair("listen_tls", &settings.listen_tls)}) {
    for (const std::string& address : *addresses) {
      if (address.starts_with(io::kUnixPrefix)) {
        return SettingsProblem{
            setting, "clients cannot come over a unix socket; use HOST:PORT"};
      }
      std::string fault = FindHostPortFault(address);
      if (!fault.empty()) return SettingsProblem{setting, std::move(fault)};
    }
  }
  return std::nullopt;
}

std::optional<SettingsProblem> FindAdminProblem(const Settings& settings) {
  if (settings.admin_listen.empty()) return std::nullopt;
  std::string fault = settings.admin_listen.starts_with(io::kUnixPrefix)
                          ? "takes no unix socket; use HOST:PORT"
                          : FindHostPortFault(settings.admin_listen);
  if (fault.empty()) return std::nullopt;
  return SettingsProblem{"admin_listen", std::move(fault)};
}

std::optional<SettingsProblem> FindControlProblem(const Settings& settings) {
  const std::string& path = settings.control_socket;
  if (path.empty()) {
    if (!settings.takeover) return std::nullopt;
    return SettingsProblem{"takeover",
                           "the tlspost that runs is found by its "
                           "control_socket; set it for both"};
  }
  // The new one is made beside the old one.
  std::string fault = path.front() == '/'
                          ? FindPathFault(path + ".new")
                          : "must be an absolute path: /run/tlspost/control";
  if (fault.empty()) return std::nullopt;
  return SettingsProblem{"control_socket", std::move(fault)};
}

std::optional<SettingsProblem> FindProxyProtocolProblem(
    const Settings& settings) {
  const auto networks = io::ParseNetworks(settings.haproxy_networks);
  if (!networks.ok()) {
    return SettingsProblem{"haproxy_networks",
                           std::string(MessageOf(networks.status()))};
  }
  const bool expected =
      settings.upstream_proxy_protocol != UpstreamProxyProtocol::kNone;
  if (expected && networks->empty()) {
    return SettingsProblem{"upstream_proxy_protocol",
                           "no PROXY header would be believed; set "
                           "haproxy_networks to the load balancers' addresses"};
  }
  return std::nullopt;
}

std::string FindBackendFault(std::string_view address) {
  std::string fault =
      address.starts_with(io::kUnixPrefix)
          ? FindPathFault(address.substr(io::kUnixPrefix.size()))
          : FindHostPortFault(address);
  if (fault.empty() && address.ends_with(":0")) {
    fault = "port 0 cannot be connected to";
  }
  return fault;
}

std::optional<SettingsProblem> FindBackendProblem(const Settings& settings) {
  if (settings.backend.empty()) {
    return SettingsProblem{"backend", "is empty; give at least one HOST:PORT"};
  }
  for (const std::string& address : settings.backend) {
    std::string fault = FindBackendFault(address);
    const auto times =
        std::count(settings.backend.begin(), settings.backend.end(), address);
    if (fault.empty() && times > 1) {
      fault = '"' + address + "\" is given twice; give it once";
    }
    if (!fault.empty()) return SettingsProblem{"backend", std::move(fault)};
  }
  return std::nullopt;
}

std::optional<SettingsProblem> FindCertificateProblem(
    const Settings& settings) {
  if (!settings.tls_key_file.empty() && settings.tls_cert_file.empty()) {
    return SettingsProblem{"tls_key_file",
                           "a key needs its certificate; set tls_cert_file "
                           "too"};
  }
  if (!settings.tls_chain_files.empty() && !settings.tls_cert_file.empty()) {
    return SettingsProblem{"tls_chain_files",
                           "stands instead of tls_cert_file and tls_key_file; "
                           "give the one or the other"};
  }
  if (settings.HasCertificate()) return std::nullopt;
  if (settings.tls_security_level == TlsSecurityLevel::kEncrypt) {
    return SettingsProblem{"tls_security_level",
                           "encrypt needs a certificate; set tls_cert_file "
                           "(and tls_key_file)"};
  }
  if (!settings.listen_tls.empty()) {
    return SettingsProblem{"listen_tls",
                           "TLS needs a certificate; set tls_cert_file (and "
                           "tls_key_file)"};
  }
  if (!settings.tls_server_sni_maps.empty()) {
    return SettingsProblem{"tls_server_sni_maps",
                           "a client that asks for no name needs a certificate "
                           "too; set tls_cert_file (and tls_key_file)"};
  }
  return std::nullopt;
}

// The word after "SETTING: " when versions or certificates are asked for in a
// way that cannot be.
std::optional<SettingsProblem> FindTermsProblem(const Settings& settings,
                                                const TlsTerms& terms) {
  const auto versions = ParseTlsProtocols(terms.tls_protocols);
  if (!versions.ok()) {
    return SettingsProblem{"tls_protocols",
                           std::string(MessageOf(versions.status()))};
  }
  if (terms.tls_req_ccert && settings.tls_CAfile.empty() &&
      settings.tls_CApath.empty()) {
    return SettingsProblem{"tls_req_ccert",
                           "no client certificate can be trusted without an "
                           "authority; set tls_CAfile or tls_CApath"};
  }
  if (terms.tls_security_level == TlsSecurityLevel::kEncrypt &&
      !settings.HasCertificate()) {
    return SettingsProblem{"tls_security_level",
                           "encrypt needs a certificate; set tls_cert_file "
                           "(and tls_key_file)"};
  }
  return std::nullopt;
}

std::optional<SettingsProblem> FindTlsProblem(const Settings& settings) {
  if (auto problem = FindCertificateProblem(settings)) return problem;
  if (auto problem = FindTermsProblem(settings, settings.terms())) {
    return problem;
  }
  constexpr size_t kMost = tls::ServerTlsOptions::kMaxPolicies;
  if (settings.tls_policy.size() > kMost) {
    return SettingsProblem{"tls_policy", "there may be " +
                                             std::to_string(kMost) +
                                             " tables at most; put networks "
                                             "with the same terms into one"};
  }
  for (const TlsPolicyRule& rule : settings.tls_policy) {
    auto problem = FindTermsProblem(settings, rule.terms);
    if (problem.has_value()) {
      problem->place = rule.place;
      return problem;
    }
    for (const std::string& network : rule.clients) {
      const auto parsed = io::Network::Parse(network);
      if (!parsed.ok()) {
        return SettingsProblem{
            "clients", std::string(MessageOf(parsed.status())), rule.place};
      }
    }
    const bool changes_level =
        rule.terms.tls_security_level != settings.tls_security_level;
    if (changes_level && !rule.sni.empty()) {
      return SettingsProblem{
          "tls_security_level",
          "a client names the server only after STARTTLS, too late for "
          "another level; choose by clients instead of sni",
          rule.place};
    }
  }
  const auto exceptions =
      io::ParseNetworks(settings.client_event_limit_exceptions);
  if (!exceptions.ok()) {
    return SettingsProblem{"client_event_limit_exceptions",
                           std::string(MessageOf(exceptions.status()))};
  }
  return std::nullopt;
}

// Only words that a client may see can be taken off what it sees.
std::optional<SettingsProblem> FindKeywordProblem(const Settings& settings) {
  for (const std::string& keyword : settings.discard_ehlo_keywords) {
    smtp::EhloCapabilities none;
    if (smtp::Discard(keyword, none)) continue;
    return SettingsProblem{"discard_ehlo_keywords",
                           "\"" + keyword +
                               "\" is none of the words that it can take off "
                               "the EHLO reply; --help lists them"};
  }
  return std::nullopt;
}

std::optional<SettingsProblem> FindBackendTlsProblem(const Settings& settings) {
  const auto versions = ParseTlsProtocols(settings.backend_tls_protocols);
  if (!versions.ok()) {
    return SettingsProblem{"backend_tls_protocols",
                           std::string(MessageOf(versions.status()))};
  }
  const std::string& name = settings.backend_tls_servername;
  if (!name.empty() && (!IsName(name) || name.front() == '.')) {
    return SettingsProblem{"backend_tls_servername",
                           "is no host name; write the one in the backend's "
                           "certificate"};
  }
  const bool verify =
      settings.backend_tls_security_level == BackendTlsLevel::kVerify;
  const bool has_nameless =
      std::any_of(settings.backend.begin(), settings.backend.end(),
                  [](const std::string& address) {
                    return address.starts_with(io::kUnixPrefix);
                  });
  if (verify && settings.backend_tls_servername.empty() && has_nameless) {
    return SettingsProblem{"backend_tls_security_level",
                           "verify needs a name to find in the certificate; "
                           "set backend_tls_servername"};
  }
  return std::nullopt;
}

std::optional<SettingsProblem> FindPoolProblem(const Settings& settings) {
  if (settings.backend_identity == BackendIdentity::kProxy &&
      settings.pool_mode == PoolMode::kTransaction) {
    return SettingsProblem{"pool_mode",
                           "a PROXY header names one client per connection, so "
                           "backend_identity = proxy goes with session only; "
                           "leave pool_mode out, or set it to session"};
  }
  if (settings.backend_backoff_min > settings.backend_backoff_max) {
    return SettingsProblem{"backend_backoff_min",
                           "must not be more than backend_backoff_max"};
  }
  return std::nullopt;
}

std::optional<SettingsProblem> FindProcessProblem(const Settings& settings) {
  if (!settings.log_file.empty() && settings.log_to != LogTo::kStderr) {
    return SettingsProblem{"log_to", "goes to one place; leave out log_file"};
  }
  if (!settings.group.empty() && settings.user.empty()) {
    return SettingsProblem{"group", "needs a user; set user, too"};
  }
  return std::nullopt;
}

}  // namespace

TlsTerms Settings::terms() const {
  TlsTerms terms;
#define TLSPOST_COPY_TERM(type, name) terms.name = name;
  TLSPOST_TLS_TERMS(TLSPOST_COPY_TERM)
#undef TLSPOST_COPY_TERM
  return terms;
}

std::vector<SettingsProblem> FindSettingsProblems(const Settings& settings) {
  std::vector<SettingsProblem> problems;
  for (const auto find :
       {FindNameProblem, FindListenProblem, FindAdminProblem,
        FindControlProblem, FindProxyProtocolProblem, FindBackendProblem,
        FindTlsProblem, FindBackendTlsProblem, FindKeywordProblem,
        FindPoolProblem, FindProcessProblem}) {
    if (auto problem = find(settings)) problems.push_back(*std::move(problem));
  }
  // A listener has what is wrong with the settings around it, too.
  if (!problems.empty()) return problems;
  if (auto problem = FindListenerProblem(settings)) {
    problems.push_back(*std::move(problem));
  }
  return problems;
}

std::optional<SettingsProblem> FindSettingsProblem(const Settings& settings) {
  std::vector<SettingsProblem> problems = FindSettingsProblems(settings);
  if (problems.empty()) return std::nullopt;
  return std::move(problems.front());
}

absl::Status ValidateSettings(const Settings& settings) {
  const auto problem = FindSettingsProblem(settings);
  if (!problem) return absl::OkStatus();
  return Invalid(std::string(problem->setting) + ": " + problem->text);
}

}  // namespace tlspost
