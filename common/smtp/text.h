// Small questions about octets that every part of this layer asks.
//
// ASCII only, whatever the locale. Decides no policy and sends nothing; text
// of a peer goes into a header, a log line or a reply only through the two
// Sanitize functions.

#ifndef TLSPOST_COMMON_SMTP_TEXT_H_
#define TLSPOST_COMMON_SMTP_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tlspost::smtp {

constexpr char ToUpperAscii(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}
constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }
constexpr bool IsBlank(char c) { return c == ' ' || c == '\t'; }
// Above 127 is text, whether char has a sign or not.
constexpr bool IsControl(char c) {
  const auto octet = static_cast<unsigned char>(c);
  return octet < 0x20 || octet == 0x7f;
}

bool EqualsIgnoreCase(std::string_view a, std::string_view b);

std::string UpperCase(std::string_view text);

// Whether `text` begins with `prefix`, which is written in upper case.
bool StartsWithIgnoreCase(std::string_view text, std::string_view prefix);

// `text` without the blanks at its start and end.
std::string_view TrimBlanks(std::string_view text);

// Takes the next word (up to a blank) off the front of `text`, with the blanks
// around it; empty when there is none left.
std::string_view TakeWord(std::string_view& text);

// A decimal number of 1 to 20 digits that fits; nothing else passes.
std::optional<uint64_t> ParseNumber(std::string_view digits);

// Whether a command line holds NUL or another control octet. TAB is a blank
// and passes.
bool HasControlOctets(std::string_view line);

// `text` on one line, for an administrator: controls become '?'.
std::string OnOneLine(std::string_view text);

// Whether any octet is above 127.
bool HasEightBit(std::string_view text);

// The longest text of a peer that is copied into a header or a log line.
inline constexpr size_t kMaxPeerTextOctets = 255;

// `text` made fit for a comment or a quoted string of a header, and for a log
// line: controls, parentheses, quotes, backslash and 8-bit become '?', and
// what is beyond kMaxPeerTextOctets is cut.
std::string SanitizeForHeader(std::string_view text);

// The same for text that stands where a header has a domain or an identifier:
// blanks and the characters that would end the clause become '?' too.
std::string SanitizeForDomain(std::string_view text);

// The same, appended to `out`.
void AppendForHeader(std::string_view text, std::string& out);
void AppendForDomain(std::string_view text, std::string& out);

// A HELO/EHLO argument we accept: 1 to 255 printable octets (protocol edge 6).
// It need not be a domain: half the world's clients send none.
bool ValidHelloName(std::string_view name);

// Whether a connection's first octets are those of a TLS handshake record: a
// client that takes a STARTTLS port for an implicit-TLS one (edge 37).
bool LooksLikeTlsHandshake(std::string_view first_octets);

}  // namespace tlspost::smtp

#endif  // TLSPOST_COMMON_SMTP_TEXT_H_
