// What an established SSL is, in Postfix's words. Private to common/tls.

#ifndef TLSPOST_COMMON_TLS_TLS_DESCRIBE_H_
#define TLSPOST_COMMON_TLS_TLS_DESCRIBE_H_

#include <string>

#include "common/base/tls_description.h"

struct ssl_st;

namespace tlspost::tls {

TlsDescription DescribeConnection(ssl_st* ssl);

// The ciphers and groups that the client of a failed handshake offered, a few
// of each; "" when it did not come to that.
std::string DescribeOffer(ssl_st* ssl);

}  // namespace tlspost::tls

#endif  // TLSPOST_COMMON_TLS_TLS_DESCRIBE_H_
