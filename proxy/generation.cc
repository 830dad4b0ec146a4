// What is made of settings once.

#include "proxy/generation.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "proxy/listener_settings.h"

namespace tlspost {
namespace {

std::vector<std::unique_ptr<const FrontTerms>> MakeTerms(
    const Settings& settings) {
  std::vector<std::unique_ptr<const FrontTerms>> terms;
  terms.push_back(std::make_unique<const FrontTerms>(settings));
  for (const ListenerRule& rule : settings.listeners) {
    // FindSettingsProblem has seen that this can be done.
    terms.push_back(
        std::make_unique<const FrontTerms>(*SettingsFor(rule, settings)));
  }
  return terms;
}

// What a connection is opened with, and what is said over it before a client's
// first command.
auto OpeningTerms(const Settings& settings) {
  return std::tie(
      settings.hostname, settings.backend_identity,
      settings.backend_tls_security_level, settings.backend_tls_CAfile,
      settings.backend_tls_CApath, settings.backend_tls_servername,
      settings.backend_tls_protocols, settings.discard_ehlo_keywords);
}

}  // namespace

Generation::Generation(Settings its_settings,
                       std::vector<BackendAddress> its_backends)
    : settings(std::move(its_settings)),
      backends(std::move(its_backends)),
      terms(MakeTerms(settings)) {}

std::vector<BackendAddress> KeepNotes(
    std::vector<BackendAddress> backends,
    const std::vector<BackendAddress>& before) {
  for (BackendAddress& backend : backends) {
    const auto known = std::find(before.begin(), before.end(), backend);
    if (known != before.end()) backend.outage = known->outage;
  }
  return backends;
}

bool OpensAlike(const Settings& before, const Settings& after) {
  return OpeningTerms(before) == OpeningTerms(after);
}

std::shared_ptr<const Settings> SettingsOf(
    std::shared_ptr<const Generation> generation) {
  const Settings* settings = &generation->settings;
  return std::shared_ptr<const Settings>(std::move(generation), settings);
}

}  // namespace tlspost
