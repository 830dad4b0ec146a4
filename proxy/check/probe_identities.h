// Whom BackendProbe claims to be, and whom it claims to write to: nobody. All
// addresses are set aside for documentation (RFC 5737, RFC 3849), all names
// never exist (RFC 2606).

#ifndef TLSPOST_PROXY_CHECK_PROBE_IDENTITIES_H_
#define TLSPOST_PROXY_CHECK_PROBE_IDENTITIES_H_

#include <string>
#include <string_view>

#include "common/smtp/xclient.h"

namespace tlspost {

inline constexpr std::string_view kFirstClient = "192.0.2.1";
inline constexpr std::string_view kSecondClient = "192.0.2.2";
inline constexpr std::string_view kIpv6Client = "2001:db8::1";
// One that no resolver knows, and one that has an entry in DNS: who checks
// that first would hide that it relays.
inline constexpr std::string_view kForeignRecipients[] = {
    "relay-test@tlspost-check.invalid", "relay-test@example.net"};

// A client with a name, so that a server that wants one does not hide what it
// would do next.
inline smtp::ClientIdentity ProbeClient() {
  smtp::ClientIdentity client;
  client.name = "client.tlspost-check.invalid";
  client.reverse_name = client.name;
  client.address = kFirstClient;
  client.port = 2525;
  client.helo = client.name;
  return client;
}

// The PROXY header that names this client.
std::string ProbeProxyHeader();

}  // namespace tlspost

#endif  // TLSPOST_PROXY_CHECK_PROBE_IDENTITIES_H_
