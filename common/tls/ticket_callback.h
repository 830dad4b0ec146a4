// Seals and opens session tickets with a TlsContext's keys. Private to
// common/tls: it includes OpenSSL.

#ifndef TLSPOST_COMMON_TLS_TICKET_CALLBACK_H_
#define TLSPOST_COMMON_TLS_TICKET_CALLBACK_H_

#include <openssl/ssl.h>

namespace tlspost::tls {

// For SSL_CTX_set_tlsext_ticket_key_evp_cb; the SSL_CTX's app data must be the
// TlsContext.
int OnTicketKey(SSL* ssl, unsigned char* key_name, unsigned char* iv,
                EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac, int sealing);

}  // namespace tlspost::tls

#endif  // TLSPOST_COMMON_TLS_TICKET_CALLBACK_H_
