// What a server reads in a ClientHello before libssl acts on it: the versions
// that the client offers, and the name it asks for.
//
// It never refuses a ClientHello; that is libssl's. Private to common/tls: it
// includes OpenSSL.

#ifndef TLSPOST_COMMON_TLS_CLIENT_HELLO_H_
#define TLSPOST_COMMON_TLS_CLIENT_HELLO_H_

#include <openssl/ssl.h>

namespace tlspost::tls {

// For SSL_CTX_set_client_hello_cb; the SSL must read from its TlsWire and the
// SSL_CTX's app data be its TlsContext. Notes the newest version in the TlsWire
// and applies the terms of the TlsContext.
int OnClientHello(SSL* ssl, int* alert, void* unused);

}  // namespace tlspost::tls

#endif  // TLSPOST_COMMON_TLS_CLIENT_HELLO_H_
