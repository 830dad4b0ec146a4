// Settings to tls::ServerTlsOptions and tls::ClientTlsOptions.

#include "proxy/tls_loader.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "proxy/certificate_files.h"
#include "proxy/listener_settings.h"

namespace tlspost {
namespace {

tls::TlsPolicy PolicyOf(const TlsTerms& terms) {
  const auto versions = ParseTlsProtocols(terms.tls_protocols);
  TLSPOST_REQUIRE(versions.ok());  // FindSettingsProblem has seen it
  tls::TlsPolicy policy;
  policy.min_version = versions->lowest;
  policy.max_version = versions->highest;
  policy.ciphers = terms.tls_cipherlist;
  policy.ciphersuites = terms.tls_ciphersuites;
  policy.groups = GroupList(terms.tls_eecdh_auto_curves);
  policy.ask_client_certificate = terms.tls_ask_ccert || terms.tls_req_ccert;
  return policy;
}

void AddFile(const std::string& file, std::vector<std::string>& files) {
  if (!file.empty()) files.push_back(file);
}

}  // namespace

TlsLoader::TlsLoader(Settings settings, size_t workers)
    : settings_(std::move(settings)),
      workers_(workers),
      ticket_keys_(tls::TicketKeys::Random()) {
  for (size_t i = 0; i < workers; ++i) {
    libraries_.push_back(std::make_shared<tls::TlsLibrary>());
  }
}

void TlsLoader::UseCertificate(std::string cert_pem, std::string key_pem) {
  given_.cert_pem = std::move(cert_pem);
  given_.key_pem = std::move(key_pem);
}

absl::Status TlsLoader::Load(Loaded& loaded) {
  loaded.workers.resize(workers_);
  const absl::Status clients = LoadClientTls(loaded);
  const absl::Status backend = LoadBackendTls(loaded);
  const auto keys = ReadTicketKeys(loaded);
  std::sort(loaded.files.begin(), loaded.files.end());
  loaded.files.erase(std::unique(loaded.files.begin(), loaded.files.end()),
                     loaded.files.end());
  for (const absl::Status& status : {clients, backend, keys.status()}) {
    if (!status.ok()) return status;
  }
  const absl::Status renewal = RefuseBadRenewal(loaded);
  if (!renewal.ok()) return renewal;
  // Last, when all is good: it changes what is in use.
  NoteInUse(loaded);
  if (!keys->empty()) ticket_keys_->Replace(*keys);
  return absl::OkStatus();
}

absl::Status TlsLoader::LoadWith(const Settings& settings, Loaded& loaded) {
  Settings before = std::exchange(settings_, settings);
  absl::Status status = Load(loaded);
  if (!status.ok()) settings_ = std::move(before);
  return status;
}

absl::Status TlsLoader::RefuseBadRenewal(const Loaded& loaded) const {
  const auto& context = loaded.workers.front().clients;
  if (in_use_.empty() || context == nullptr) return absl::OkStatus();
  for (const tls::CertificateFacts& served : context->certificates()) {
    const bool is_new = in_use_.count(served.fingerprint) == 0;
    if (is_new && !served.date_problem.empty()) {
      return MakeStatus(absl::StatusCode::kFailedPrecondition,
                        served.date_problem);
    }
  }
  return absl::OkStatus();
}

void TlsLoader::NoteInUse(const Loaded& loaded) {
  in_use_.clear();
  const auto& context = loaded.workers.front().clients;
  if (context == nullptr) return;
  for (const tls::CertificateFacts& served : context->certificates()) {
    in_use_.insert(served.fingerprint);
  }
}

bool TlsLoader::WantsClientTls() const {
  const auto wants = [](const TlsTerms& terms) {
    return terms.tls_security_level != TlsSecurityLevel::kNone;
  };
  const auto any_wants = [&](const Settings& settings) {
    return wants(settings.terms()) || !settings.listen_tls.empty() ||
           std::any_of(
               settings.tls_policy.begin(), settings.tls_policy.end(),
               [&](const TlsPolicyRule& rule) { return wants(rule.terms); });
  };
  return any_wants(settings_) ||
         std::any_of(settings_.listeners.begin(), settings_.listeners.end(),
                     [&](const ListenerRule& rule) {
                       const auto settings = SettingsFor(rule, settings_);
                       return settings.ok() && any_wants(*settings);
                     });
}

absl::Status TlsLoader::LoadClientTls(Loaded& loaded) {
  const bool have_certificate =
      settings_.HasCertificate() || !given_.cert_pem.empty();
  // Not offered rather than offered and then refused, as Postfix does.
  if (!WantsClientTls() || !have_certificate) return absl::OkStatus();
  tls::ServerTlsOptions options;
  options.strict_key_permissions = settings_.tls_strict_key_permissions;
  absl::Status added = AddCertificates(options, loaded);
  if (!added.ok()) return added;
  options.ocsp_response_files = settings_.tls_stapling_files;
  for (const std::string& file : settings_.tls_stapling_files) {
    AddFile(file, loaded.files);
  }
  options.policy = PolicyOf(settings_.terms());
  for (const TlsPolicyRule& rule : settings_.tls_policy) {
    options.policies.push_back(PolicyOf(rule.terms));
    options.policies.back().server_names = rule.sni;
    options.policies.back().title = rule.place;
  }
  options.ca_file = settings_.tls_CAfile;
  options.ca_path = settings_.tls_CApath;
  AddFile(settings_.tls_CAfile, loaded.files);
  AddFile(settings_.tls_CApath, loaded.files);
  options.ticket_keys = ticket_keys_;
  options.session_lifetime = std::chrono::duration_cast<std::chrono::seconds>(
      settings_.tls_session_cache_timeout);
  for (size_t i = 0; i < workers_; ++i) {
    options.library = libraries_[i];
    auto created = tls::TlsContext::CreateServer(options);
    if (!created.ok()) return created.status();
    loaded.workers[i].clients = *std::move(created);
  }
  const auto& warnings = loaded.workers.front().clients->warnings();
  loaded.warnings.insert(loaded.warnings.end(), warnings.begin(),
                         warnings.end());
  return absl::OkStatus();
}

absl::Status TlsLoader::AddCertificates(tls::ServerTlsOptions& options,
                                        Loaded& loaded) const {
  return NameCertificates(settings_, given_, options, loaded.files);
}

// Empty when no file is named.
absl::StatusOr<std::vector<tls::TicketKey>> TlsLoader::ReadTicketKeys(
    Loaded& loaded) const {
  const std::string& file = settings_.tls_ticket_key_file;
  if (file.empty()) return std::vector<tls::TicketKey>();
  AddFile(file, loaded.files);
  return tls::TicketKeys::FromFile(file, settings_.tls_strict_key_permissions,
                                   &loaded.warnings);
}

absl::Status TlsLoader::LoadBackendTls(Loaded& loaded) const {
  const BackendTlsLevel level = settings_.backend_tls_security_level;
  if (level == BackendTlsLevel::kNone) return absl::OkStatus();
  const auto versions = ParseTlsProtocols(settings_.backend_tls_protocols);
  TLSPOST_REQUIRE(versions.ok());
  tls::ClientTlsOptions options;
  options.verify = level == BackendTlsLevel::kVerify;
  options.ca_file = settings_.backend_tls_CAfile;
  options.ca_path = settings_.backend_tls_CApath;
  options.min_version = versions->lowest;
  options.max_version = versions->highest;
  AddFile(options.ca_file, loaded.files);
  AddFile(options.ca_path, loaded.files);
  for (size_t i = 0; i < workers_; ++i) {
    options.library = libraries_[i];
    auto created = tls::TlsContext::CreateClient(options);
    if (!created.ok()) return created.status();
    loaded.workers[i].backend = *std::move(created);
  }
  const auto& warnings = loaded.workers.front().backend->warnings();
  loaded.warnings.insert(loaded.warnings.end(), warnings.begin(),
                         warnings.end());
  return absl::OkStatus();
}

void TlsLoader::RotateTicketKeys() {
  if (settings_.tls_ticket_key_file.empty()) ticket_keys_->Rotate();
}

}  // namespace tlspost
