#include "common/smtp/auth.h"

#include <string.h>

#include <algorithm>
#include <iterator>
#include <optional>

#include "common/smtp/base64.h"
#include "common/smtp/text.h"

namespace tlspost::smtp {
namespace {

// RFC 4422 section 3.1: sasl-mech.
constexpr size_t kMaxMechanismOctets = 20;

// A piece of a response that is so short says nothing.
constexpr size_t kMinTellingOctets = 3;

// What clients ask for, of IANA's list of SASL mechanisms and beside it.
constexpr std::string_view kWellKnown[] = {
    "ANONYMOUS",
    "CRAM-MD5",
    "DIGEST-MD5",
    "EXTERNAL",
    "GS2-KRB5",
    "GSSAPI",
    "GSS-SPNEGO",
    "KERBEROS_V4",
    "LOGIN",
    "NTLM",
    "OAUTHBEARER",
    "OTP",
    "PLAIN",
    "SCRAM-SHA-1",
    "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-256",
    "SCRAM-SHA-512",
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-512-PLUS",
    "XOAUTH2",
};

bool IsMechanismChar(char c) {
  return (c >= 'A' && c <= 'Z') || IsDigit(c) || c == '-' || c == '_';
}

bool ValidMechanism(std::string_view name) {
  return !name.empty() && name.size() <= kMaxMechanismOctets &&
         std::all_of(name.begin(), name.end(), IsMechanismChar);
}

// RFC 4422 appendix A and RFC 5802 section 6: the peer's certificate, or the
// channel the exchange runs in.
bool SpeaksOfTls(std::string_view mechanism) {
  return mechanism == "EXTERNAL" || mechanism.ends_with("-PLUS");
}

bool Lists(std::string_view words, std::string_view word) {
  while (!words.empty()) {
    if (TakeWord(words) == word) return true;
  }
  return false;
}

// Takes off the front of `octets` what stands before the next NUL or, in the
// mechanisms of RFC 7628, 0x01.
std::string_view TakePiece(std::string_view& octets) {
  constexpr std::string_view kSeparators("\0\1", 2);
  const size_t end = octets.find_first_of(kSeparators);
  const std::string_view piece = octets.substr(0, end);
  octets.remove_prefix(end == std::string_view::npos ? octets.size() : end + 1);
  return piece;
}

bool Repeats(std::string_view text, std::string_view piece) {
  return piece.size() >= kMinTellingOctets &&
         text.find(piece) != std::string_view::npos;
}

}  // namespace

std::string OfferedMechanisms(std::string_view auth) {
  std::string offered;
  if (!EqualsIgnoreCase(TakeWord(auth), "AUTH")) return offered;
  while (!auth.empty()) {
    const std::string mechanism = UpperCase(TakeWord(auth));
    if (!ValidMechanism(mechanism) || SpeaksOfTls(mechanism)) continue;
    if (!offered.empty()) offered += ' ';
    offered += mechanism;
  }
  return offered;
}

ReplyOr<AuthArguments> ParseAuth(std::string_view argument,
                                 std::string_view offered) {
  AuthArguments auth;
  auth.mechanism = UpperCase(TakeWord(argument));
  // A word that the backend does not list may be a misplaced password: it is
  // repeated nowhere.
  if (!Lists(offered, auth.mechanism)) return reply::kAuthMechanismUnknown;
  if (argument.empty()) return auth;
  auth.response = TakeWord(argument);
  auth.has_response = true;
  if (!argument.empty()) return reply::kSyntaxAuth;
  const bool cancels = auth.response == "*";
  if (cancels || !ValidAuthResponse(auth.response)) {
    return reply::kAuthBadResponse;
  }
  return auth;
}

bool NamesMechanism(std::string_view word) {
  return std::any_of(
      std::begin(kWellKnown), std::end(kWellKnown),
      [word](std::string_view name) { return EqualsIgnoreCase(word, name); });
}

bool ValidAuthResponse(std::string_view line) {
  return line == "*" || IsBase64(line);
}

std::string UserNameOf(std::string_view mechanism,
                       const std::vector<std::string>& responses) {
  const bool plain = mechanism == "PLAIN" && responses.size() == 1;
  const bool login = mechanism == "LOGIN" && responses.size() == 2;
  if (!plain && !login) return {};
  std::optional<std::string> decoded = DecodeBase64(responses.front());
  if (!decoded.has_value()) return {};
  std::string_view rest = *decoded;
  // authzid NUL authcid NUL passwd
  if (plain) TakePiece(rest);
  std::string name(TakePiece(rest));
  Wipe(*decoded);
  return name;
}

bool RepeatsResponse(std::string_view text,
                     const std::vector<std::string>& responses) {
  for (const std::string& response : responses) {
    if (Repeats(text, response)) return true;
    std::optional<std::string> decoded = DecodeBase64(response);
    if (!decoded.has_value()) continue;
    bool found = false;
    for (std::string_view rest = *decoded; !found && !rest.empty();) {
      found = Repeats(text, TakePiece(rest));
    }
    Wipe(*decoded);
    if (found) return true;
  }
  return false;
}

void Wipe(std::string& secret) {
  explicit_bzero(secret.data(), secret.size());
  std::string().swap(secret);
}

}  // namespace tlspost::smtp
