// Escapes, and what is no UTF-8.

#include "proxy/json_text.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/str_format.h"

namespace tlspost {
namespace {

// The octets of the UTF-8 character that `text` begins with; 0: it is none.
size_t CharacterLength(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  size_t length = 1;
  if (first >= 0xf5 || (first >= 0x80 && first < 0xc2)) return 0;
  if (first >= 0xf0) {
    length = 4;
  } else if (first >= 0xe0) {
    length = 3;
  } else if (first >= 0xc2) {
    length = 2;
  }
  if (text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return 0;
  }
  // Overlong forms, surrogates, and what is above U+10FFFF (RFC 3629).
  const auto second =
      length > 1 ? static_cast<unsigned char>(text[1]) : uint8_t{0};
  const bool is_wrong =
      (first == 0xe0 && second < 0xa0) || (first == 0xed && second >= 0xa0) ||
      (first == 0xf0 && second < 0x90) || (first == 0xf4 && second >= 0x90);
  return is_wrong ? 0 : length;
}

}  // namespace

std::string JsonQuoted(std::string_view text) {
  std::string quoted = "\"";
  while (!text.empty()) {
    const size_t length = CharacterLength(text);
    const std::string_view character =
        text.substr(0, std::max(length, size_t{1}));
    text.remove_prefix(character.size());
    const auto octet = static_cast<unsigned char>(character.front());
    if (length == 0) {
      quoted += "\\ufffd";
    } else if (octet < 0x20) {
      quoted += absl::StrFormat("\\u%04x", octet);
    } else if (octet == '"' || octet == '\\') {
      quoted.append("\\").append(character);
    } else {
      quoted += character;
    }
  }
  return quoted + '"';
}

}  // namespace tlspost
