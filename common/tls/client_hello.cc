#include "common/tls/client_hello.h"

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>

#include "common/tls/server_terms.h"
#include "common/tls/tls_context.h"
#include "common/tls/tls_wire.h"

namespace tlspost::tls {
namespace {

// The body of an extension; empty when it is not there.
std::string_view Extension(SSL* ssl, unsigned type) {
  const unsigned char* body = nullptr;
  size_t size = 0;
  if (SSL_client_hello_get0_ext(ssl, type, &body, &size) != 1) return {};
  return std::string_view(reinterpret_cast<const char*>(body), size);
}

size_t Number16(std::string_view octets, size_t at) {
  return static_cast<size_t>(static_cast<uint8_t>(octets[at]) << 8 |
                             static_cast<uint8_t>(octets[at + 1]));
}

uint16_t NewestOffered(SSL* ssl) {
  auto newest =
      static_cast<uint16_t>(SSL_client_hello_get0_legacy_version(ssl));
  // RFC 8446 section 4.2.1: one octet of length, then two per version; when
  // it is there, the legacy version says nothing.
  const std::string_view list = Extension(ssl, TLSEXT_TYPE_supported_versions);
  for (size_t at = 1; at + 1 < list.size(); at += 2) {
    // RFC 8701: values like 0x7a7a are there to be ignored.
    if (list[at] != 3) continue;
    newest = std::max(newest, static_cast<uint16_t>(Number16(list, at)));
  }
  return newest;
}

// RFC 6066 section 3: the length of the list, then for each name its type, its
// length and itself. There is one type, and at most one name of a type. What
// does not look like that is no name; libssl judges it later.
std::string_view ServerName(SSL* ssl) {
  constexpr size_t kHeader = 5;
  const std::string_view list = Extension(ssl, TLSEXT_TYPE_server_name);
  if (list.size() < kHeader || list[2] != TLSEXT_NAMETYPE_host_name) return {};
  const size_t size = Number16(list, 3);
  if (size > list.size() - kHeader || size > TLSEXT_MAXLEN_host_name) return {};
  return list.substr(kHeader, size);
}

}  // namespace

int OnClientHello(SSL* ssl, int* alert, void*) {
  TlsWire& wire = *WireOf(ssl);
  wire.offered_version = NewestOffered(ssl);
  // A second ClientHello (after a HelloRetryRequest) changes no terms.
  if (std::exchange(wire.terms_applied, true)) return SSL_CLIENT_HELLO_SUCCESS;
  const TlsContext& context = *static_cast<const TlsContext*>(
      SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  if (context.server_terms().Apply(ServerName(ssl), wire, ssl)) {
    return SSL_CLIENT_HELLO_SUCCESS;
  }
  *alert = SSL_AD_INTERNAL_ERROR;
  return SSL_CLIENT_HELLO_ERROR;
}

}  // namespace tlspost::tls
