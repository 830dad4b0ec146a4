// A throw-away certificate, for `tlspost demo` and for tests.

#ifndef TLSPOST_COMMON_TLS_SELF_SIGNED_H_
#define TLSPOST_COMMON_TLS_SELF_SIGNED_H_

#include <string>

namespace tlspost::tls {

struct SelfSigned {
  std::string cert_pem;
  std::string key_pem;
};

// A new P-256 key with a certificate for `hostname`, signed by itself and
// valid for a year.
SelfSigned GenerateSelfSigned(const std::string& hostname);

}  // namespace tlspost::tls

#endif  // TLSPOST_COMMON_TLS_SELF_SIGNED_H_
