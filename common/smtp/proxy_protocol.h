// The PROXY protocol's header, versions 1 and 2: what a load balancer says
// first on a connection about the one that it passes on.
//
// Decodes bytes; does not decide whose header is believed, and waits for
// nothing. Names follow HAProxy's proxy-protocol.txt.

#ifndef TLSPOST_COMMON_SMTP_PROXY_PROTOCOL_H_
#define TLSPOST_COMMON_SMTP_PROXY_PROTOCOL_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tlspost::smtp {

// Section 2.1: the longest line of version 1, line end included.
inline constexpr size_t kMaxProxyV1Octets = 107;
// Section 2.2: what stands before the addresses in version 2.
inline constexpr size_t kProxyV2FixedOctets = 16;
// The longest header of version 2 that we take. It could announce 64 KiB; what
// is sent in practice is addresses, an id, and perhaps a certificate.
inline constexpr size_t kMaxProxyV2Octets = 16384;

struct ProxyHeader {
  // LOCAL: the sender speaks for itself, as health checks do.
  bool local = false;
  // The ends of the connection that is passed on, in numbers; version 1 may
  // have anything here that is made of the right characters. Empty: the
  // header has none that a TCP peer could have (LOCAL, UNKNOWN, UNSPEC,
  // AF_UNIX), and those of the real connection count.
  std::string source_address;
  uint16_t source_port = 0;
  std::string destination_address;
  uint16_t destination_port = 0;

  bool has_addresses() const { return !source_address.empty(); }
  friend bool operator==(const ProxyHeader&, const ProxyHeader&) = default;
};

struct ProxyDecoding {
  enum class State : uint8_t {
    kNeedMore,   // so far it may become a header
    kHeader,     // `header` is here, in the first `octets`
    kNoHeader,   // the bytes begin with something else
    kMalformed,  // a header that must not be believed; `fault` says why
  };

  State state = State::kNeedMore;
  ProxyHeader header{};
  size_t octets = 0;
  std::string_view fault{};  // a constant
};

// Looks at all that was received so far, from the connection's first octet.
ProxyDecoding DecodeProxyHeader(std::string_view bytes);

}  // namespace tlspost::smtp

#endif  // TLSPOST_COMMON_SMTP_PROXY_PROTOCOL_H_
