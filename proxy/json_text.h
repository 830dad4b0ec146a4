// Any octets as a JSON string (RFC 8259), for what peers and files have said.

#ifndef TLSPOST_PROXY_JSON_TEXT_H_
#define TLSPOST_PROXY_JSON_TEXT_H_

#include <string>
#include <string_view>

namespace tlspost {

// With its quotes. What is no UTF-8 becomes U+FFFD.
std::string JsonQuoted(std::string_view text);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_JSON_TEXT_H_
