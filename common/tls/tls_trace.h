// Who wants to know each step of a handshake, and the octets on the wire.

#ifndef TLSPOST_COMMON_TLS_TLS_TRACE_H_
#define TLSPOST_COMMON_TLS_TLS_TRACE_H_

#include <string_view>

struct ssl_st;

namespace tlspost::tls {

class TlsTrace {
 public:
  virtual ~TlsTrace() = default;

  // A step, an alert or a ticket, in the words of Postfix's log:
  // "SSL_accept:before SSL initialization",
  // "SSL3 alert write:fatal:handshake failure".
  virtual void State(std::string_view state) = 0;

  // Octets as they pass, encrypted as they are.
  virtual void Wire(bool sent, std::string_view ciphertext) = 0;
};

// For common/tls only: lets `ssl`, which reads from its TlsWire, tell the
// trace of the wire; or ends that.
void TraceStates(ssl_st* ssl, bool on);

}  // namespace tlspost::tls

#endif  // TLSPOST_COMMON_TLS_TLS_TRACE_H_
