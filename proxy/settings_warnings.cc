// Settings that are allowed and unwise, and what to do instead.

#include <algorithm>

#include "common/io/endpoint.h"
#include "proxy/listener_settings.h"
#include "proxy/settings.h"

namespace tlspost {
namespace {

void AddListenWarnings(const Settings& settings,
                       std::vector<std::string>& warnings) {
  if (settings.tls_security_level != TlsSecurityLevel::kEncrypt) return;
  for (const std::string& address : settings.listen) {
    if (address.ends_with(":25")) {
      warnings.push_back(
          "tls_security_level=encrypt on " + address +
          " turns mail away from servers without TLS, which RFC 3207 section 4 "
          "forbids to a public MX; use may");
    }
  }
}

void AddRuleWarnings(const Settings& settings, const TlsPolicyRule& rule,
                     std::vector<std::string>& warnings) {
  const bool optional =
      rule.terms.tls_security_level != TlsSecurityLevel::kEncrypt;
  if (rule.terms.tls_req_ccert && !settings.listen.empty() && optional) {
    warnings.push_back(
        rule.place +
        ": tls_req_ccert is ignored where these clients may do without TLS; "
        "set tls_security_level=encrypt");
  }
  if (rule.terms.tls_req_ccert && !rule.sni.empty() &&
      !settings.tls_req_ccert) {
    warnings.push_back(rule.place +
                       ": a client that asks for another name than these, or "
                       "for none, needs no certificate; choose by clients");
  }
  const bool is_last = &rule == &settings.tls_policy.back();
  if (rule.clients.empty() && rule.sni.empty() && !is_last) {
    warnings.push_back(rule.place +
                       ": this [[tls_policy]] is for everybody, so those "
                       "behind it are never used; put it last");
  }
}

void AddTermsWarnings(const Settings& settings,
                      std::vector<std::string>& warnings) {
  const auto versions = ParseTlsProtocols(settings.tls_protocols);
  if (versions.ok() && versions->lowest < tls::TlsVersion::kTls12) {
    warnings.push_back(
        "tls_protocols admits TLS 1.0 or 1.1 for everybody, which RFC 8996 "
        "forbids; keep >=TLSv1.2 and name the old clients in a [[tls_policy]]");
  }
  if (settings.tls_req_ccert && !settings.listen.empty() &&
      settings.tls_security_level != TlsSecurityLevel::kEncrypt) {
    warnings.push_back(
        "tls_req_ccert is ignored where clients may do without TLS; set "
        "tls_security_level=encrypt");
  }
  for (const TlsPolicyRule& rule : settings.tls_policy) {
    AddRuleWarnings(settings, rule, warnings);
  }
  if ((settings.tls_ask_ccert || settings.tls_req_ccert) &&
      settings.tls_CAfile.empty() && settings.tls_CApath.empty()) {
    warnings.push_back(
        "client certificates are asked for, but none can be trusted without "
        "tls_CAfile or tls_CApath");
  }
}

// On this machine, as far as its name tells.
bool IsNearby(std::string_view backend) {
  return backend.starts_with(io::kUnixPrefix) || backend.starts_with("127.") ||
         backend.starts_with("localhost:") || backend.starts_with("[::1]");
}

}  // namespace

std::vector<std::string> SettingsWarnings(const Settings& settings) {
  std::vector<std::string> warnings;
  if (settings.tls_security_level == TlsSecurityLevel::kMay &&
      !settings.HasCertificate()) {
    warnings.push_back(
        "no certificate, so STARTTLS is not offered; set tls_cert_file, or "
        "tls_security_level=none to silence this");
  }
  AddTermsWarnings(settings, warnings);
  const bool nearby =
      std::all_of(settings.backend.begin(), settings.backend.end(), IsNearby);
  if (settings.sasl_auth_enable && !nearby &&
      settings.backend_tls_security_level < BackendTlsLevel::kEncrypt) {
    warnings.push_back(
        "passwords of AUTH go to the backend on another host in plaintext; set "
        "backend_tls_security_level=encrypt, or sasl_auth_enable=no");
  }
  AddListenWarnings(settings, warnings);
  for (const ListenerRule& rule : settings.listeners) {
    const auto its_settings = SettingsFor(rule, settings);
    if (its_settings.ok()) AddListenWarnings(*its_settings, warnings);
  }
  if (settings.backend_idle_timeout >= Settings::Seconds(300)) {
    warnings.push_back(
        "backend_idle_timeout is not below Postfix's default smtpd_timeout of "
        "300s, so the backend will close pooled connections first; lower it "
        "unless the backend waits longer");
  }
  if (settings.backend_data_done_timeout < Settings::Seconds(600)) {
    warnings.push_back(
        "backend_data_done_timeout is below the ten minutes of RFC 5321 "
        "4.5.3.2.6; a slow backend can make clients send a message twice");
  }
  return warnings;
}

}  // namespace tlspost
