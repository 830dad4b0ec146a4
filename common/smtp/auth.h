// AUTH (RFC 4954): what of it may be offered, passed on and told.
//
// The exchange is the client's and the backend's; nothing here judges
// credentials, and what has to look into them wipes its copy. Sends nothing.

#ifndef TLSPOST_COMMON_SMTP_AUTH_H_
#define TLSPOST_COMMON_SMTP_AUTH_H_

#include <string>
#include <string_view>
#include <vector>

#include "common/smtp/reply.h"

namespace tlspost::smtp {

// The mechanisms a client may be offered, "PLAIN LOGIN", from a backend's
// "AUTH PLAIN LOGIN EXTERNAL". Those that prove something by the TLS around
// them are left out: the backend's TLS, if any, is ours and not the client's,
// so EXTERNAL would give every client our name.
std::string OfferedMechanisms(std::string_view auth);

struct AuthArguments {
  std::string mechanism;      // one of the offered ones, in upper case
  std::string_view response;  // the initial one; into the parsed argument
  bool has_response = false;  // "=" stands for an empty one
};

// `argument` is what stands behind AUTH; `offered` as above.
ReplyOr<AuthArguments> ParseAuth(std::string_view argument,
                                 std::string_view offered);

// Whether `word` is the name of a mechanism, in whatever case, and not perhaps
// a password in its place: one of the well-known ones.
bool NamesMechanism(std::string_view word);

// Whether a client's line can be an answer to a challenge: base64, nothing, or
// the "*" that cancels. What cannot be one is never passed on as one.
bool ValidAuthResponse(std::string_view line);

// The name in the responses of a successful exchange, where it can be read:
// PLAIN (RFC 4616) and LOGIN; else empty. It is the client's word.
std::string UserNameOf(std::string_view mechanism,
                       const std::vector<std::string>& responses);

// Whether `text` repeats one of the responses, encoded or not, or a part of it:
// then it must not be logged, as people type passwords where names belong.
bool RepeatsResponse(std::string_view text,
                     const std::vector<std::string>& responses);

// Overwrites what `secret` holds and gives its memory back.
void Wipe(std::string& secret);

}  // namespace tlspost::smtp

#endif  // TLSPOST_COMMON_SMTP_AUTH_H_
