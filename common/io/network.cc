// Prefixes of addresses.

#include "common/io/network.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string>

#include "common/base/status.h"

namespace tlspost::io {
namespace {

constexpr int kV4Bits = 32;
constexpr int kV6Bits = 128;

bool IsBitSet(const AddressBytes& address, int bit) {
  const uint8_t octet = address[static_cast<size_t>(bit) / 8];
  return ((octet >> (7 - bit % 8)) & 1) != 0;
}

absl::Status NoNetwork(std::string_view text, std::string_view why) {
  return MakeStatus(absl::StatusCode::kInvalidArgument,
                    "\"" + std::string(text) + "\" " + std::string(why));
}

}  // namespace

AddressBytes BytesOf(const Endpoint& endpoint) {
  AddressBytes bytes{};
  if (endpoint.is_unix() || endpoint.family() == AF_UNSPEC) return bytes;
  sockaddr_storage storage;
  endpoint.ToSockaddr(storage);
  if (storage.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
    std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
  } else if (storage.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
    bytes[10] = bytes[11] = 0xff;
    std::memcpy(bytes.data() + 12, &v4.sin_addr, 4);
  }
  return bytes;
}

AddressBytes ClientBytesOf(const Endpoint& endpoint) {
  static const Network kMappedV4 = *Network::Parse("::ffff:0:0/96");
  AddressBytes bytes = BytesOf(endpoint);
  if (!kMappedV4.Contains(bytes)) {
    std::fill(bytes.begin() + 8, bytes.end(), uint8_t{0});
  }
  return bytes;
}

absl::StatusOr<Network> Network::Parse(std::string_view text) {
  const size_t slash = text.find('/');
  const auto address = Endpoint::FromIp(text.substr(0, slash), 0);
  if (!address.ok()) {
    return NoNetwork(text,
                     "is no network; write an address and the length of its "
                     "prefix, as in 192.0.2.0/24 or 2001:db8::/32");
  }
  Network network;
  network.address_ = BytesOf(*address);
  const int most = address->is_ipv6() ? kV6Bits : kV4Bits;
  int length = most;
  if (slash != std::string_view::npos) {
    const std::string_view digits = text.substr(slash + 1);
    const char* end = digits.data() + digits.size();
    const auto [rest, error] = std::from_chars(digits.data(), end, length);
    if (error != std::errc() || rest != end || length < 0 || length > most) {
      return NoNetwork(text, "has no prefix length from 0 to " +
                                 std::to_string(most) + " behind the '/'");
    }
  }
  network.prefix_bits_ = length + kV6Bits - most;
  for (int bit = network.prefix_bits_; bit < kV6Bits; ++bit) {
    if (!IsBitSet(network.address_, bit)) continue;
    return NoNetwork(text,
                     "has bits set behind its prefix; write the network's "
                     "first address, or a longer prefix");
  }
  return network;
}

bool Network::Contains(const AddressBytes& address) const {
  const auto whole = static_cast<size_t>(prefix_bits_ / 8);
  if (!std::equal(address_.begin(),
                  address_.begin() + static_cast<ptrdiff_t>(whole),
                  address.begin())) {
    return false;
  }
  for (int bit = static_cast<int>(whole) * 8; bit < prefix_bits_; ++bit) {
    if (IsBitSet(address_, bit) != IsBitSet(address, bit)) return false;
  }
  return true;
}

absl::StatusOr<std::vector<Network>> ParseNetworks(
    const std::vector<std::string>& texts) {
  std::vector<Network> networks;
  for (const std::string& text : texts) {
    auto network = Network::Parse(text);
    if (!network.ok()) return network.status();
    networks.push_back(*network);
  }
  return networks;
}

bool AnyContains(const std::vector<Network>& networks,
                 const Endpoint& endpoint) {
  if (networks.empty()) return false;
  const AddressBytes address = BytesOf(endpoint);
  return std::any_of(
      networks.begin(), networks.end(),
      [&](const Network& network) { return network.Contains(address); });
}

}  // namespace tlspost::io
