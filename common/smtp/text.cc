#include "common/smtp/text.h"

#include <algorithm>
#include <limits>

namespace tlspost::smtp {
namespace {

void AppendClean(std::string_view text, std::string_view unwanted,
                 std::string& out) {
  for (const char c : text.substr(0, kMaxPeerTextOctets)) {
    const bool eight_bit = static_cast<unsigned char>(c) > 0x7f;
    const bool is_unwanted =
        IsControl(c) || eight_bit || unwanted.find(c) != std::string_view::npos;
    out += is_unwanted ? '?' : c;
  }
}

}  // namespace

bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return ToUpperAscii(x) == ToUpperAscii(y);
         });
}

std::string UpperCase(std::string_view text) {
  std::string upper(text);
  std::transform(upper.begin(), upper.end(), upper.begin(), ToUpperAscii);
  return upper;
}

bool StartsWithIgnoreCase(std::string_view text, std::string_view prefix) {
  return EqualsIgnoreCase(text.substr(0, prefix.size()), prefix);
}

std::string_view TrimBlanks(std::string_view text) {
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsBlank(text.back())) text.remove_suffix(1);
  return text;
}

std::string_view TakeWord(std::string_view& text) {
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  size_t length = 0;
  while (length < text.size() && !IsBlank(text[length])) ++length;
  const std::string_view word = text.substr(0, length);
  text.remove_prefix(length);
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  return word;
}

std::optional<uint64_t> ParseNumber(std::string_view digits) {
  constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
  constexpr size_t kMaxDigits = 20;  // RFC 1870 section 3
  if (digits.empty() || digits.size() > kMaxDigits) return std::nullopt;
  uint64_t value = 0;
  for (const char c : digits) {
    if (!IsDigit(c)) return std::nullopt;
    const uint64_t digit = static_cast<uint64_t>(c - '0');
    if (value > (kMax - digit) / 10) return std::nullopt;
    value = value * 10 + digit;
  }
  return value;
}

bool HasControlOctets(std::string_view line) {
  return std::any_of(line.begin(), line.end(),
                     [](char c) { return IsControl(c) && c != '\t'; });
}

std::string OnOneLine(std::string_view text) {
  std::string line(text);
  std::replace_if(line.begin(), line.end(), IsControl, '?');
  return line;
}

bool HasEightBit(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) > 0x7f;
  });
}

std::string SanitizeForHeader(std::string_view text) {
  std::string clean;
  AppendForHeader(text, clean);
  return clean;
}

std::string SanitizeForDomain(std::string_view text) {
  std::string clean;
  AppendForDomain(text, clean);
  return clean;
}

void AppendForHeader(std::string_view text, std::string& out) {
  AppendClean(text, "()\"\\", out);
}

void AppendForDomain(std::string_view text, std::string& out) {
  AppendClean(text, "()\"\\ ;,<>@", out);
}

bool ValidHelloName(std::string_view name) {
  constexpr size_t kMaxHelloOctets = 255;  // RFC 5321 section 4.5.3.1.2
  return !name.empty() && name.size() <= kMaxHelloOctets &&
         !HasEightBit(name) &&
         std::none_of(name.begin(), name.end(), IsControl);
}

bool LooksLikeTlsHandshake(std::string_view first_octets) {
  // RFC 8446 section 5.1: ContentType handshake(22), then a version 3.x.
  return first_octets.size() >= 2 && first_octets[0] == '\x16' &&
         first_octets[1] == '\x03';
}

}  // namespace tlspost::smtp
