#include "proxy/front_terms.h"

#include <utility>

namespace tlspost {
namespace {

std::vector<io::Network> BelievedProxies(const Settings& settings) {
  if (settings.upstream_proxy_protocol == UpstreamProxyProtocol::kNone) {
    return {};
  }
  return *io::ParseNetworks(settings.haproxy_networks);
}

}  // namespace

FrontTerms::FrontTerms(Settings its_settings)
    : settings(std::move(its_settings)),
      policies(settings),
      believed_proxies(BelievedProxies(settings)),
      // FindSettingsProblem has seen that these are networks.
      unlimited_clients(
          *io::ParseNetworks(settings.client_event_limit_exceptions)) {}

}  // namespace tlspost
