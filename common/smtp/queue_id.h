// The name under which a mail server has queued a message, in its reply to the
// end of data: no standard says where it stands, and each puts it elsewhere.

#ifndef TLSPOST_COMMON_SMTP_QUEUE_ID_H_
#define TLSPOST_COMMON_SMTP_QUEUE_ID_H_

#include <string_view>

namespace tlspost::smtp {

// A view into `reply`, of at most 64 printable octets; empty when none of the
// known forms (Postfix, Exim, Sendmail, OpenSMTPD, qmail, Exchange, Haraka,
// KumoMTA, Stalwart) is in it.
std::string_view QueueIdIn(std::string_view reply);

}  // namespace tlspost::smtp

#endif  // TLSPOST_COMMON_SMTP_QUEUE_ID_H_
