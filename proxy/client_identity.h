// Who a client is, as a backend is told.

#ifndef TLSPOST_PROXY_CLIENT_IDENTITY_H_
#define TLSPOST_PROXY_CLIENT_IDENTITY_H_

#include "common/smtp/xclient.h"
#include "proxy/client_channel.h"
#include "proxy/session_services.h"

namespace tlspost {

// LOGIN stays unset: the SASL session is the backend's own.
smtp::ClientIdentity IdentityOf(const ClientChannel& client,
                                const ClientState& state);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_CLIENT_IDENTITY_H_
