// What every SSL_CTX of ours has in common, whatever its role and its options.
// Private to common/tls: it includes OpenSSL.

#ifndef TLSPOST_COMMON_TLS_SSL_MODES_H_
#define TLSPOST_COMMON_TLS_SSL_MODES_H_

#include <openssl/ssl.h>

namespace tlspost::tls {

void SetCommonModes(SSL_CTX* context);

}  // namespace tlspost::tls

#endif  // TLSPOST_COMMON_TLS_SSL_MODES_H_
