// Base64 (RFC 4648 section 4), for the lines of an AUTH exchange.

#ifndef TLSPOST_COMMON_SMTP_BASE64_H_
#define TLSPOST_COMMON_SMTP_BASE64_H_

#include <optional>
#include <string>
#include <string_view>

namespace tlspost::smtp {

// Whether `text` is base64 with up to two "=" behind it. Its length is for the
// one who decodes to judge.
bool IsBase64(std::string_view text);

// The octets, if it is; what is left of the last one is dropped. The result's
// memory never moved, so that who wipes it has wiped all of it.
std::optional<std::string> DecodeBase64(std::string_view text);

std::string EncodeBase64(std::string_view octets);

}  // namespace tlspost::smtp

#endif  // TLSPOST_COMMON_SMTP_BASE64_H_
