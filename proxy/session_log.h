// What the log's objects say of a client and its TLS, for sessions and for
// transactions alike.

#ifndef TLSPOST_PROXY_SESSION_LOG_H_
#define TLSPOST_PROXY_SESSION_LOG_H_

#include "proxy/client_channel.h"
#include "proxy/log_record.h"
#include "proxy/session_services.h"

namespace tlspost {

// Address, name, HELO, who it has authenticated as.
void AddClient(const ClientChannel& client, const ClientState& state,
               LogRecord& record);

// Version, cipher, group, signature, SNI, trust, certificates; nothing without
// TLS.
void AddTls(const ClientChannel& client, LogRecord& record);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_SESSION_LOG_H_
