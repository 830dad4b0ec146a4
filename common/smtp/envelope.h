// MAIL and RCPT: their addresses and parameters taken apart and judged.
//
// Addresses are found, not understood: quoted local parts, source routes and
// domain literals pass as they are, and the backend decides on them. A line
// for the backend is written anew from the parts, so that it reads them where
// we did. Knows nothing of sessions.

#ifndef TLSPOST_COMMON_SMTP_ENVELOPE_H_
#define TLSPOST_COMMON_SMTP_ENVELOPE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/smtp/capabilities.h"
#include "common/smtp/reply.h"

namespace tlspost::smtp {

// All views are into the argument that was parsed.
struct MailArguments {
  std::string_view path;        // without <>; empty: the null sender
  std::string_view parameters;  // all of them, as the client wrote them
  std::optional<uint64_t> size;
  bool body_7bit = false;    // BODY=7BIT
  bool body_8bit = false;    // BODY=8BITMIME
  bool body_binary = false;  // BODY=BINARYMIME
  bool smtputf8 = false;
  bool dsn = false;                      // RET or ENVID was given
  std::optional<std::string_view> auth;  // RFC 4954 section 5
};

struct RcptArguments {
  std::string_view path;  // without <>
  std::string_view parameters;
  bool dsn = false;  // NOTIFY or ORCPT was given
};

// `argument` is what stands behind the verb: "FROM:<a@b> SIZE=1". As Postfix
// does, a blank behind the colon and an address without <> are accepted.
ReplyOr<MailArguments> ParseMail(std::string_view argument);
ReplyOr<RcptArguments> ParseRcpt(std::string_view argument);

// What `mail` asks that the backend cannot do, or a size above `size_limit`
// (0: none). Asked before a backend connection is taken (edges 49 to 54).
// `offered` is what this client was offered: what it may ask for is refused for
// now, what it may not for good.
std::optional<Reply> RefuseMail(const MailArguments& mail,
                                const EhloCapabilities& backend,
                                uint64_t size_limit, OptionSet offered = 0);

// The same for a recipient; `smtputf8` is what the transaction's MAIL said.
std::optional<Reply> RefuseRcpt(const RcptArguments& rcpt,
                                const EhloCapabilities& backend, bool smtputf8,
                                OptionSet offered = 0);

// Appends the command for the backend, line end included. The AUTH parameter
// is left out unless `keep_auth`: nobody vouches for it (RFC 4954 section 5).
void AppendMailLine(const MailArguments& mail, bool keep_auth,
                    std::string& out);
void AppendRcptLine(const RcptArguments& rcpt, std::string& out);

}  // namespace tlspost::smtp

#endif  // TLSPOST_COMMON_SMTP_ENVELOPE_H_
