// FrontTerms: what holds for the clients of one listening address.
//
// Its settings, and what is made of them once; then shared by all workers,
// unchanged.

#ifndef TLSPOST_PROXY_FRONT_TERMS_H_
#define TLSPOST_PROXY_FRONT_TERMS_H_

#include <vector>

#include "common/io/network.h"
#include "proxy/client_policies.h"
#include "proxy/settings.h"

namespace tlspost {

struct FrontTerms {
  // `its_settings` passed FindSettingsProblem.
  explicit FrontTerms(Settings its_settings);
  FrontTerms(const FrontTerms&) = delete;
  FrontTerms& operator=(const FrontTerms&) = delete;

  const Settings settings;
  const ClientPolicies policies;
  // Whose PROXY headers are believed; empty where none is expected.
  const std::vector<io::Network> believed_proxies;
  // client_event_limit_exceptions.
  const std::vector<io::Network> unlimited_clients;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_FRONT_TERMS_H_
