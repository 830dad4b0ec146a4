// ClientPolicies: which [[tls_policy]] tables may apply to a client, by its
// address.
//
// What depends on the name the client asks for is decided later, in the
// handshake (tls::TlsPolicy); the two number the tables alike. Made once
// for each generation of the settings, then shared by all workers, unchanged.

#ifndef TLSPOST_PROXY_CLIENT_POLICIES_H_
#define TLSPOST_PROXY_CLIENT_POLICIES_H_

#include <cstdint>
#include <vector>

#include "common/io/endpoint.h"
#include "common/io/network.h"
#include "proxy/settings.h"

namespace tlspost {

class ClientPolicies {
 public:
  // `settings` passed FindSettingsProblem, and outlive this.
  explicit ClientPolicies(const Settings& settings);

  // Bit i: table i has the client's network, or all networks.
  uint32_t CandidatesFor(const io::Endpoint& client) const;

  // From the first of them that is for all names.
  TlsSecurityLevel LevelFor(const io::Endpoint& client) const;

  // Whether table `number` (-1: no table) asks for a certificate we trust.
  bool RequiresCertificate(int number) const;

 private:
  const Settings& settings_;
  std::vector<std::vector<io::Network>> networks_;  // of each table
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_CLIENT_POLICIES_H_
