#include "common/tls/tls_session.h"

#include <openssl/ssl.h>

namespace tlspost::tls {

TlsSession::~TlsSession() { SSL_SESSION_free(session_); }

}  // namespace tlspost::tls
