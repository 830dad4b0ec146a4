// Certificates, keys and authorities: first each by itself, so that all faults
// are heard of, then what the server would make of them.

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "common/tls/certificate_check.h"
#include "proxy/certificate_files.h"
#include "proxy/check/check.h"
#include "proxy/listener_settings.h"

namespace tlspost {
namespace {

// A certificate and the settings that lead to it and to its key.
struct NamedSource {
  std::string setting;
  std::string key_setting;
  tls::CertificateSource source;
  std::vector<std::string> asked_names;
};

// What clients may know us by, apart from the SNI map.
std::vector<std::string> HostNames(const Settings& settings) {
  std::vector<std::string> names;
  const auto add = [&names](const std::string& name) {
    const bool is_name = !name.empty() && name.front() != '[';
    const bool is_new =
        std::find(names.begin(), names.end(), name) == names.end();
    if (is_name && is_new) names.push_back(name);
  };
  add(settings.hostname);
  for (const ListenerRule& rule : settings.listeners) {
    const auto its_settings = SettingsFor(rule, settings);
    if (its_settings.ok()) add(its_settings->hostname);
  }
  return names;
}

class CertificateCheck {
 public:
  CertificateCheck(const Settings& settings, std::vector<Finding>& findings)
      : settings_(settings), found_("certificates", findings) {}

  void InspectAll() {
    tls::ServerTlsOptions options;
    std::vector<std::string> files;
    const absl::Status named = NameCertificates(settings_, {}, options, files);
    if (!named.ok()) Fail("certificates", named);
    const bool is_list = !settings_.tls_chain_files.empty();
    const std::vector<std::string> host_names = HostNames(settings_);
    for (const tls::CertificateSource& source : options.certificates) {
      Inspect({is_list ? "tls_chain_files" : "tls_cert_file",
               is_list ? "tls_chain_files" : "tls_key_file", source,
               host_names});
    }
    // A hundred names may share one certificate. Whether it has the names is
    // said by whoever builds the map.
    std::vector<tls::CertificateSource> seen = options.certificates;
    for (const tls::NamedCertificates& entry : options.named_certificates) {
      for (const tls::CertificateSource& source : entry.certificates) {
        if (std::find(seen.begin(), seen.end(), source) != seen.end()) continue;
        seen.push_back(source);
        const std::string setting = "tls_server_sni_maps: " + entry.name;
        Inspect({setting, setting, source, {}});
      }
    }
  }

  void InspectAuthorities(std::string_view file_setting,
                          const std::string& file,
                          std::string_view path_setting,
                          const std::string& path) {
    if (!file.empty()) {
      const auto report = tls::InspectAuthorities(file, "");
      if (!report.ok()) {
        Fail(file_setting, report.status());
      } else {
        found_.Ok(file_setting, absl::StrFormat("%s holds %d authorities", file,
                                                report->in_file));
      }
    }
    if (path.empty()) return;
    const auto report = tls::InspectAuthorities("", path);
    if (!report.ok()) return Fail(path_setting, report.status());
    for (const std::string& warning : report->warnings) {
      Warn(path_setting, warning);
    }
    if (!report->warnings.empty()) return;
    found_.Ok(path_setting, absl::StrFormat("%s has %d hash links", path,
                                            report->in_directory));
  }

  // What the server would do with all of it.
  void Load(TlsLoader& loader, TlsLoader::Loaded& loaded) {
    const absl::Status status = loader.Load(loaded);
    for (const std::string& warning : loaded.warnings) Warn("TLS", warning);
    if (!status.ok()) return Fail("TLS", status);
    found_.Ok("TLS", loaded.workers.front().clients == nullptr
                         ? "is not offered to clients"
                         : "certificates, policies and keys go together");
  }

 private:
  void Inspect(const NamedSource& named) {
    const tls::CertificateReport report = tls::InspectCertificate(
        named.source, named.asked_names, settings_.tls_strict_key_permissions);
    said_.insert(report.facts.date_problem);
    if (!report.readable.ok()) return Fail(named.setting, report.readable);
    const std::string& file = named.source.cert_file;
    SayChain(file, report);
    SayNames(file, report);
    if (!report.usable.ok()) {
      Fail(named.key_setting, report.usable);
    } else {
      const std::string& key_file = named.source.key_file;
      found_.Ok(key_file.empty() ? file : key_file,
                "the key belongs to the certificate and has no passphrase");
    }
    for (const std::string& warning : report.warnings) {
      Warn(named.key_setting, warning);
    }
  }

  // In the words of openssl verify, so that they can be looked up.
  void SayChain(const std::string& file, const tls::CertificateReport& report) {
    const tls::ChainVerdict& chain = report.chain;
    if (chain.good()) {
      found_.Ok(file, "OK");
    } else {
      found_.Add(chain.is_self_made ? Verdict::kWarn : Verdict::kFail, file,
                 absl::StrFormat("%s (OpenSSL's error %d at depth %d, %s); %s",
                                 chain.reason, chain.error, chain.depth,
                                 chain.subject, chain.remedy));
    }
    for (const std::string& problem : report.order_problems) {
      found_.Warn(file, problem);
    }
  }

  void SayNames(const std::string& file, const tls::CertificateReport& report) {
    const std::string names = absl::StrJoin(report.names, ", ");
    if (!report.foreign_names.empty()) {
      found_.Warn(
          file,
          absl::StrFormat("it is made out to %s and not to %s, so clients that "
                          "check names refuse it; have one issued for that "
                          "name, or correct hostname",
                          names.empty() ? "no name" : names,
                          absl::StrJoin(report.foreign_names, ", ")));
    }
    const std::string facts =
        absl::StrFormat("%s, made out to %s", report.facts.key,
                        names.empty() ? "no name" : names);
    if (report.days_left < 0) return;  // the chain says it
    const std::string left =
        absl::StrFormat("%s, %d day%s left", facts, report.days_left,
                        report.days_left == 1 ? "" : "s");
    if (report.ends_soon) {
      found_.Warn(file, left + "; renew it, and see why that has not happened");
    } else {
      found_.Ok(file, left);
    }
  }

  void Fail(std::string_view thing, const absl::Status& status) {
    const std::string text(MessageOf(status));
    if (said_.insert(text).second) found_.Fail(thing, text);
  }
  void Warn(std::string_view thing, const std::string& text) {
    if (said_.insert(text).second) found_.Warn(thing, text);
  }

  const Settings& settings_;
  AreaFindings found_;
  // What several parts find is said once.
  std::set<std::string> said_;
};

}  // namespace

void CheckCertificates(const Settings& settings, TlsLoader& loader,
                       TlsLoader::Loaded& loaded,
                       std::vector<Finding>& findings) {
  CertificateCheck check(settings, findings);
  if (settings.HasCertificate()) check.InspectAll();
  check.InspectAuthorities("tls_CAfile", settings.tls_CAfile, "tls_CApath",
                           settings.tls_CApath);
  check.InspectAuthorities("backend_tls_CAfile", settings.backend_tls_CAfile,
                           "backend_tls_CApath", settings.backend_tls_CApath);
  check.Load(loader, loaded);
}

}  // namespace tlspost
