// The TLS handshake with one client: on what terms, within which limits, and
// what the log says of it.
//
// Used for STARTTLS and for implicit TLS alike. Knows nothing of SMTP.

#ifndef TLSPOST_PROXY_CLIENT_HANDSHAKE_H_
#define TLSPOST_PROXY_CLIENT_HANDSHAKE_H_

#include "absl/status/status.h"
#include "common/base/task.h"
#include "proxy/client_channel.h"
#include "proxy/session_services.h"

namespace tlspost {

// How the client came to TLS, for the words of the log.
enum class TlsStart { kStartTls, kImplicit };

// Shakes hands within tls_handshake_timeout. Everything about it is logged and
// counted when it returns. Error: there is no TLS, and the connection is of no
// more use (as tls::TlsStream::StartTls has it). The caller has taken a slot
// of services.handshakes.
Task<absl::Status> ShakeHands(SessionServices& services, ClientChannel& client,
                              TlsStart start);

// Whether the client has the certificate that its policy requires, or none is
// required. `mandatory`: the client could not do without TLS; where it could,
// nothing is required (as with Postfix's smtpd_tls_req_ccert).
bool HasRequiredCertificate(const SessionServices& services,
                            const ClientChannel& client, bool mandatory);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_CLIENT_HANDSHAKE_H_
