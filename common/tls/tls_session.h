// A session that a client may resume later. Opaque; keeps what it needs alive.

#ifndef TLSPOST_COMMON_TLS_TLS_SESSION_H_
#define TLSPOST_COMMON_TLS_TLS_SESSION_H_

#include <memory>
#include <utility>

struct ssl_session_st;

namespace tlspost::tls {

class TlsContext;

class TlsSession {
 public:
  // Takes over one reference to `session`, which was made under `context`:
  // the certificate in it belongs to the context's OpenSSL library.
  TlsSession(std::shared_ptr<TlsContext> context, ssl_session_st* session)
      : context_(std::move(context)), session_(session) {}
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;
  ~TlsSession();

  // For common/tls and its tests only.
  ssl_session_st* get() const { return session_; }

 private:
  const std::shared_ptr<TlsContext> context_;
  ssl_session_st* const session_;
};

}  // namespace tlspost::tls

#endif  // TLSPOST_COMMON_TLS_TLS_SESSION_H_
