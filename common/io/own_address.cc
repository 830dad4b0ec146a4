// Interfaces, wildcards and loopback.

#include "common/io/own_address.h"

#include <ifaddrs.h>
#include <sys/socket.h>

#include <algorithm>

namespace tlspost::io {
namespace {

bool IsIn(const char* network, const AddressBytes& address) {
  return Network::Parse(network)->Contains(address);
}

// 0.0.0.0 or [::]: all addresses to listen at, loopback to connect to.
bool IsAny(const AddressBytes& address) {
  return IsIn("0.0.0.0", address) || IsIn("::", address);
}

bool IsLoopback(const AddressBytes& address) {
  return IsIn("127.0.0.0/8", address) || IsIn("::1", address);
}

}  // namespace

std::vector<AddressBytes> OwnAddresses() {
  std::vector<AddressBytes> addresses;
  ifaddrs* interfaces = nullptr;
  if (getifaddrs(&interfaces) != 0) return addresses;
  for (const ifaddrs* entry = interfaces; entry != nullptr;
       entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr) continue;
    const int family = entry->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    const socklen_t length =
        family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    addresses.push_back(
        BytesOf(Endpoint::FromSockaddr(entry->ifa_addr, length)));
  }
  freeifaddrs(interfaces);
  return addresses;
}

bool LeadsTo(const Endpoint& to, const Endpoint& listening,
             const std::vector<AddressBytes>& own) {
  if (to.is_unix() || listening.is_unix()) return to == listening;
  if (to.port() != listening.port() || to.port() == 0) return false;
  const AddressBytes target = BytesOf(to);
  const AddressBytes ours = BytesOf(listening);
  if (target == ours) return true;
  const bool is_here = IsAny(target) || IsLoopback(target) ||
                       std::find(own.begin(), own.end(), target) != own.end();
  if (!IsAny(ours)) return IsAny(target) && IsLoopback(ours);
  // A socket on [::] takes IPv4 as well.
  return is_here && (listening.is_ipv6() || !to.is_ipv6());
}

}  // namespace tlspost::io
