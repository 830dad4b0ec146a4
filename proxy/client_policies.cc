// Clients' networks against the tables.

#include "proxy/client_policies.h"

#include <cstddef>
#include <utility>

#include "common/base/check.h"

namespace tlspost {

ClientPolicies::ClientPolicies(const Settings& settings) : settings_(settings) {
  for (const TlsPolicyRule& rule : settings.tls_policy) {
    auto networks = io::ParseNetworks(rule.clients);
    TLSPOST_REQUIRE(networks.ok());
    networks_.push_back(*std::move(networks));
  }
}

uint32_t ClientPolicies::CandidatesFor(const io::Endpoint& client) const {
  uint32_t candidates = 0;
  for (size_t i = 0; i < networks_.size(); ++i) {
    if (networks_[i].empty() || io::AnyContains(networks_[i], client)) {
      candidates |= uint32_t{1} << i;
    }
  }
  return candidates;
}

TlsSecurityLevel ClientPolicies::LevelFor(const io::Endpoint& client) const {
  const uint32_t candidates = CandidatesFor(client);
  for (size_t i = 0; i < networks_.size(); ++i) {
    const TlsPolicyRule& rule = settings_.tls_policy[i];
    const bool applies = ((candidates >> i) & 1) != 0 && rule.sni.empty();
    if (applies) return rule.terms.tls_security_level;
  }
  return settings_.tls_security_level;
}

bool ClientPolicies::RequiresCertificate(int number) const {
  if (number < 0) return settings_.tls_req_ccert;
  return settings_.tls_policy[static_cast<size_t>(number)].terms.tls_req_ccert;
}

}  // namespace tlspost
