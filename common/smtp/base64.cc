#include "common/smtp/base64.h"

#include <algorithm>
#include <cstdint>

#include "common/smtp/text.h"

namespace tlspost::smtp {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// The six bits that `c` stands for; nothing for any other character.
std::optional<uint32_t> SixBits(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (IsDigit(c)) return c - '0' + 52;
  if (c == '+') return 62;
  if (c == '/') return 63;
  return std::nullopt;
}

std::string_view WithoutPadding(std::string_view text) {
  for (int i = 0; i < 2 && text.ends_with('='); ++i) text.remove_suffix(1);
  return text;
}

}  // namespace

bool IsBase64(std::string_view text) {
  text = WithoutPadding(text);
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return SixBits(c).has_value(); });
}

std::optional<std::string> DecodeBase64(std::string_view text) {
  if (!IsBase64(text)) return std::nullopt;
  text = WithoutPadding(text);
  std::string octets;
  octets.reserve(text.size() * 3 / 4 + 1);
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    bits = (bits << 6) | *SixBits(c);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    octets.push_back(static_cast<char>((bits >> count) & 0xff));
  }
  return octets;
}

std::string EncodeBase64(std::string_view octets) {
  std::string text;
  for (size_t at = 0; at < octets.size(); at += 3) {
    const std::string_view group = octets.substr(at, 3);
    uint32_t bits = 0;
    for (size_t i = 0; i < 3; ++i) {
      const auto octet =
          static_cast<unsigned char>(i < group.size() ? group[i] : 0);
      bits = (bits << 8) | octet;
    }
    for (size_t i = 0; i < 4; ++i) {
      const uint32_t six = (bits >> (18 - 6 * i)) & 63;
      text.push_back(i <= group.size() ? kAlphabet[six] : '=');
    }
  }
  return text;
}

}  // namespace tlspost::smtp
