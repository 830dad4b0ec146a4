// Endpoint: an address that a socket can be bound or connected to.
//
// IPv4, IPv6 or a Unix socket's path. Turning a name into addresses blocks and
// is done at start-up only (ResolveEndpoints).

#ifndef TLSPOST_COMMON_IO_ENDPOINT_H_
#define TLSPOST_COMMON_IO_ENDPOINT_H_

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace tlspost::io {

// In front of a Unix socket's path.
inline constexpr std::string_view kUnixPrefix = "unix:";

class Endpoint {
 public:
  Endpoint() = default;

  // From a kernel address; an unknown family gives an endpoint without one.
  static Endpoint FromSockaddr(const sockaddr* address, socklen_t length);
  static Endpoint Unix(std::string_view path);
  // `address` in numbers, with or without brackets; no look-up.
  static absl::StatusOr<Endpoint> FromIp(std::string_view address,
                                         uint16_t port);

  int family() const;
  bool is_ipv6() const { return family() == AF_INET6; }
  bool is_unix() const { return unix_path_ != nullptr; }
  // In host byte order; 0 for a Unix socket.
  uint16_t port() const;

  // The address alone, in numbers: "192.0.2.1", "2001:db8::1". An IPv4 client
  // on an IPv6 socket (::ffff:192.0.2.1) is given as IPv4. "unknown" for a
  // Unix socket.
  std::string Address() const;
  // "192.0.2.1:25", "[2001:db8::1]:25", "unix:/run/x".
  std::string ToString() const;

  // Fills `storage` for the kernel; returns the length.
  socklen_t ToSockaddr(sockaddr_storage& storage) const;

  friend bool operator==(const Endpoint& a, const Endpoint& b) {
    return a.ToString() == b.ToString();
  }

 private:
  union {
    sockaddr_in v4;
    sockaddr_in6 v6;
  } ip_ = {};
  // Never empty. Shared, and null for most: each connection has an endpoint.
  std::shared_ptr<const std::string> unix_path_;
};

// Addresses of "HOST:PORT", "[IPV6]:PORT", ":PORT" (all addresses) or
// "unix:PATH". Blocks on the resolver. The error is one line that names `text`
// and what is wrong with it.
absl::StatusOr<std::vector<Endpoint>> ResolveEndpoints(std::string_view text);

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_ENDPOINT_H_
