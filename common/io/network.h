// Network: a range of addresses, as "192.0.2.0/24" or "2001:db8::/32".
//
// Says which addresses are in it; looks nothing up.

#ifndef TLSPOST_COMMON_IO_NETWORK_H_
#define TLSPOST_COMMON_IO_NETWORK_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/io/endpoint.h"

namespace tlspost::io {

// An address as 16 octets: IPv6, or IPv4 as ::ffff:192.0.2.1, so that one
// client is the same over a socket of either kind. All zero for a Unix socket.
using AddressBytes = std::array<uint8_t, 16>;
AddressBytes BytesOf(const Endpoint& endpoint);
// The same for whom we call one client: an IPv4 address, or an IPv6 /64
// network, which is the least that a single customer is given.
AddressBytes ClientBytesOf(const Endpoint& endpoint);

class Network {
 public:
  // An address alone stands for itself. Brackets, as Postfix writes IPv6
  // networks ("[2001:db8::]/32"), are taken too. Error: one line that names
  // `text`, also when bits are set behind the prefix.
  static absl::StatusOr<Network> Parse(std::string_view text);

  bool Contains(const AddressBytes& address) const;
  bool Contains(const Endpoint& endpoint) const {
    return Contains(BytesOf(endpoint));
  }

 private:
  AddressBytes address_{};
  int prefix_bits_ = 0;  // of the 128
};

// All of `texts`; the first one that is no network is the error.
absl::StatusOr<std::vector<Network>> ParseNetworks(
    const std::vector<std::string>& texts);

// Whether any of them contains it.
bool AnyContains(const std::vector<Network>& networks,
                 const Endpoint& endpoint);

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_NETWORK_H_
