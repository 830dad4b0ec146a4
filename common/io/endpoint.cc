// Addresses to and from text and the kernel's structures.

#include "common/io/endpoint.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "common/base/check.h"

namespace tlspost::io {
namespace {

struct HostPort {
  std::string host;
  std::string port;
};

absl::StatusOr<HostPort> SplitHostPort(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "\"%s\" names no port; write HOST:PORT or unix:PATH", text));
  }
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "\"%s\": write an IPv6 address in brackets, as [::1]:25", text));
  }
  unsigned number = 0;
  const auto [end, error] =
      std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc() || end != port.data() + port.size() ||
      number > 65535) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "\"%s\": \"%s\" is not a port number (0 to 65535)", text, port));
  }
  return HostPort{std::string(host), std::string(port)};
}

}  // namespace

Endpoint Endpoint::FromSockaddr(const sockaddr* address, socklen_t length) {
  Endpoint endpoint;
  if (address->sa_family == AF_INET && length >= sizeof(sockaddr_in)) {
    std::memcpy(&endpoint.ip_.v4, address, sizeof(sockaddr_in));
  } else if (address->sa_family == AF_INET6 && length >= sizeof(sockaddr_in6)) {
    std::memcpy(&endpoint.ip_.v6, address, sizeof(sockaddr_in6));
  } else if (address->sa_family == AF_UNIX) {
    const auto* local = reinterpret_cast<const sockaddr_un*>(address);
    const size_t path_length =
        length > offsetof(sockaddr_un, sun_path)
            ? strnlen(local->sun_path, length - offsetof(sockaddr_un, sun_path))
            : 0;
    // A client's Unix socket has no path.
    endpoint.unix_path_ = std::make_shared<const std::string>(
        path_length > 0 ? std::string_view(local->sun_path, path_length)
                        : "(unnamed)");
  }
  return endpoint;
}

Endpoint Endpoint::Unix(std::string_view path) {
  TLSPOST_REQUIRE(!path.empty());
  Endpoint endpoint;
  endpoint.unix_path_ = std::make_shared<const std::string>(path);
  return endpoint;
}

absl::StatusOr<Endpoint> Endpoint::FromIp(std::string_view address,
                                          uint16_t port) {
  if (address.size() >= 2 && address.front() == '[' && address.back() == ']') {
    address = address.substr(1, address.size() - 2);
  }
  const std::string text(address);
  Endpoint endpoint;
  if (inet_pton(AF_INET, text.c_str(), &endpoint.ip_.v4.sin_addr) == 1) {
    endpoint.ip_.v4.sin_family = AF_INET;
    endpoint.ip_.v4.sin_port = htons(port);
    return endpoint;
  }
  endpoint.ip_.v6 = {};
  if (inet_pton(AF_INET6, text.c_str(), &endpoint.ip_.v6.sin6_addr) == 1) {
    endpoint.ip_.v6.sin6_family = AF_INET6;
    endpoint.ip_.v6.sin6_port = htons(port);
    return endpoint;
  }
  return absl::InvalidArgumentError(
      absl::StrFormat("\"%s\" is not an IP address", address));
}

int Endpoint::family() const { return is_unix() ? AF_UNIX : ip_.v4.sin_family; }

uint16_t Endpoint::port() const {
  // sin_port and sin6_port lie at the same place.
  return is_unix() ? 0 : ntohs(ip_.v4.sin_port);
}

std::string Endpoint::Address() const {
  char text[INET6_ADDRSTRLEN] = "unknown";
  if (family() == AF_INET) {
    inet_ntop(AF_INET, &ip_.v4.sin_addr, text, sizeof(text));
  } else if (family() == AF_INET6) {
    if (IN6_IS_ADDR_V4MAPPED(&ip_.v6.sin6_addr)) {
      inet_ntop(AF_INET, ip_.v6.sin6_addr.s6_addr + 12, text, sizeof(text));
    } else {
      inet_ntop(AF_INET6, &ip_.v6.sin6_addr, text, sizeof(text));
    }
  }
  return text;
}

std::string Endpoint::ToString() const {
  if (is_unix()) return std::string(kUnixPrefix) + *unix_path_;
  const std::string address = Address();
  const bool brackets = address.find(':') != std::string::npos;
  if (brackets) return absl::StrFormat("[%s]:%d", address, port());
  return absl::StrFormat("%s:%d", address, port());
}

socklen_t Endpoint::ToSockaddr(sockaddr_storage& storage) const {
  storage = {};
  switch (family()) {
    case AF_INET:
      std::memcpy(&storage, &ip_.v4, sizeof(ip_.v4));
      return sizeof(ip_.v4);
    case AF_INET6:
      std::memcpy(&storage, &ip_.v6, sizeof(ip_.v6));
      return sizeof(ip_.v6);
    case AF_UNIX: {
      auto* local = reinterpret_cast<sockaddr_un*>(&storage);
      local->sun_family = AF_UNIX;
      const size_t length =
          std::min(unix_path_->size(), sizeof(local->sun_path) - 1);
      std::memcpy(local->sun_path, unix_path_->data(), length);
      return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length +
                                    1);
    }
    default:
      TLSPOST_REQUIRE(!"an endpoint without an address was used");
      return 0;
  }
}

absl::StatusOr<std::vector<Endpoint>> ResolveEndpoints(std::string_view text) {
  std::vector<Endpoint> endpoints;
  if (text.starts_with(kUnixPrefix)) {
    const std::string_view path = text.substr(kUnixPrefix.size());
    if (path.empty() || path.size() >= sizeof(sockaddr_un::sun_path)) {
      return absl::InvalidArgumentError(
          absl::StrFormat("\"%s\": a Unix socket's path has 1 to %d octets",
                          text, sizeof(sockaddr_un::sun_path) - 1));
    }
    endpoints.push_back(Endpoint::Unix(path));
    return endpoints;
  }
  absl::StatusOr<HostPort> split = SplitHostPort(text);
  if (!split.ok()) return split.status();

  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (split->host.empty() ? AI_PASSIVE : 0);
  addrinfo* found = nullptr;
  const int error =
      getaddrinfo(split->host.empty() ? nullptr : split->host.c_str(),
                  split->port.c_str(), &hints, &found);
  if (error != 0) {
    return absl::NotFoundError(absl::StrFormat(
        "\"%s\": the host name \"%s\" has no address (%s); check the spelling "
        "and the resolver, or write the address in numbers",
        text, split->host, gai_strerror(error)));
  }
  for (const addrinfo* entry = found; entry != nullptr;
       entry = entry->ai_next) {
    endpoints.push_back(
        Endpoint::FromSockaddr(entry->ai_addr, entry->ai_addrlen));
  }
  freeaddrinfo(found);
  return endpoints;
}

}  // namespace tlspost::io
