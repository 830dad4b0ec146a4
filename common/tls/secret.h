// What happens to text that was secret.

#ifndef TLSPOST_COMMON_TLS_SECRET_H_
#define TLSPOST_COMMON_TLS_SECRET_H_

#include <openssl/crypto.h>

#include <string>

namespace tlspost::tls {

// Copies of a private key do not stay behind in freed memory.
inline void Wipe(std::string& secret) {
  OPENSSL_cleanse(secret.data(), secret.size());
}

}  // namespace tlspost::tls

#endif  // TLSPOST_COMMON_TLS_SECRET_H_
