// What a message that goes round in circles hears (RFC 5321 section 6.3), the
// same for DATA and BDAT.

#ifndef TLSPOST_PROXY_HOP_LIMIT_H_
#define TLSPOST_PROXY_HOP_LIMIT_H_

#include <optional>

#include "common/smtp/hop_counter.h"
#include "common/smtp/reply.h"
#include "proxy/session_services.h"

namespace tlspost {

// The refusal that is due by hopcount_limit or own_hopcount_limit, which is
// counted; nothing while the message may go on.
std::optional<smtp::Reply> RefuseHops(const smtp::HopCounter& hops,
                                      SessionServices& services);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_HOP_LIMIT_H_
