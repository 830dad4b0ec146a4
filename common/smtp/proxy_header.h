// The header of the PROXY protocol, version 2, as a proxy sends it: who the
// client is, and what is known of its TLS, ahead of all else on a connection.
//
// It makes the octets and sends none. Reading such headers is another file's
// part.

#ifndef TLSPOST_COMMON_SMTP_PROXY_HEADER_H_
#define TLSPOST_COMMON_SMTP_PROXY_HEADER_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "common/base/tls_description.h"

namespace tlspost::smtp {

// A text in the header is cut to so many octets: a certificate's names are the
// client's to choose.
inline constexpr size_t kMaxProxyHeaderText = 255;

// One end of a connection: 4 or 16 octets of address, in network order.
struct ProxyEndpoint {
  std::string address;
  uint16_t port = 0;
};

// The connection is `client`'s, who came to us at `server`; an IPv4 address
// beside an IPv6 one is mapped. `tls` may be null: it speaks plaintext. Under
// TLS the header has
//   PP2_TYPE_AUTHORITY  the name that the client asked for (SNI), if any
//   PP2_TYPE_SSL        and in it the version, the cipher (OpenSSL's name), the
//                       key of our certificate ("RSA2048", "EC256") and the
//                       digest that it signed the handshake with ("SHA256"),
//                       both as far as the handshake tells (a resumed one does
//                       not), and the common name of the client's certificate
// A client certificate counts as verified when an authority vouches for it.
std::string EncodeProxyHeader(const ProxyEndpoint& client,
                              const ProxyEndpoint& server,
                              const TlsDescription* tls);

// The connection is our own (LOCAL): nobody's mail comes over it.
std::string EncodeLocalProxyHeader();

}  // namespace tlspost::smtp

#endif  // TLSPOST_COMMON_SMTP_PROXY_HEADER_H_
