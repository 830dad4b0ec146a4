// OpenSSL's error queue, taken out of the thread before anyone else sees it.
//
// The queue belongs to the thread, not to the connection: what one session
// leaves in it would be read as the next session's error. So it is emptied
// before every call into OpenSSL and drained after a failure. No OpenSSL type
// passes through this header.

#ifndef TLSPOST_COMMON_TLS_OPENSSL_ERROR_H_
#define TLSPOST_COMMON_TLS_OPENSSL_ERROR_H_

#include <string>

namespace tlspost::tls {

struct OpenSslError {
  // The SSL_R_ number when libssl raised the error, else 0.
  int ssl_reason = 0;
  // "wrong version number"; never empty.
  std::string reason = "no reason given";
  // As Postfix prints it after "TLS library problem: ":
  // "error:0A00010B:SSL routines::wrong version number:FILE:LINE:DATA:".
  // Empty when the queue was.
  std::string text;
};

void ClearOpenSslErrors();

// The error that tells most: the oldest of libssl, or the oldest of all when
// libssl raised none. Empties the queue.
OpenSslError TakeOpenSslError();

}  // namespace tlspost::tls

#endif  // TLSPOST_COMMON_TLS_OPENSSL_ERROR_H_
