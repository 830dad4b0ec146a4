#include "common/smtp/capabilities.h"

#include <algorithm>
#include <array>

#include "common/smtp/auth.h"
#include "common/smtp/text.h"

namespace tlspost::smtp {
namespace {

// An extension that is there or not, in the order we offer them.
struct Flag {
  std::string_view keyword;
  bool EhloCapabilities::*member;
  bool relayed;  // offered to clients when the backend has it
};

// Not relayed: ETRN serves no client of ours; CHUNKING and BINARYMIME would
// need a second way for the message; STARTTLS is ours to offer.
constexpr std::array kFlags = {
    Flag{"PIPELINING", &EhloCapabilities::pipelining, true},
    Flag{"VRFY", &EhloCapabilities::vrfy, true},
    Flag{"ETRN", &EhloCapabilities::etrn, false},
    Flag{"HELP", &EhloCapabilities::help, false},
    Flag{"STARTTLS", &EhloCapabilities::starttls, false},
    Flag{"ENHANCEDSTATUSCODES", &EhloCapabilities::enhanced_status_codes, true},
    Flag{"8BITMIME", &EhloCapabilities::eight_bit_mime, true},
    Flag{"SMTPUTF8", &EhloCapabilities::smtputf8, true},
    Flag{"DSN", &EhloCapabilities::dsn, true},
    Flag{"CHUNKING", &EhloCapabilities::chunking, false},
    Flag{"BINARYMIME", &EhloCapabilities::binary_mime, false},
};

// One line behind its "250-": RFC 5321 section 4.1.1.1, ehlo-line.
void ReadLine(std::string_view line, EhloCapabilities& found) {
  std::string_view parameters = line;
  const std::string_view keyword = TakeWord(parameters);
  for (const Flag& flag : kFlags) {
    if (EqualsIgnoreCase(keyword, flag.keyword)) found.*flag.member = true;
  }
  if (EqualsIgnoreCase(keyword, "SIZE")) {
    // RFC 1870 section 4: no number, or zero, is no fixed limit.
    found.size = ParseNumber(TrimBlanks(parameters)).value_or(0);
  } else if (EqualsIgnoreCase(keyword, "AUTH")) {
    found.auth = std::string(line);
  } else if (EqualsIgnoreCase(keyword, "XCLIENT")) {
    found.xclient = AttributeSet::FromList(parameters);
  } else if (EqualsIgnoreCase(keyword, "XFORWARD")) {
    found.xforward = AttributeSet::FromList(parameters);
  }
}

}  // namespace

EhloCapabilities ParseEhlo(std::string_view reply_text) {
  constexpr size_t kCodeOctets = 4;  // "250-"
  EhloCapabilities found;
  bool greeting = true;  // the first line names the host, no extension
  while (!reply_text.empty()) {
    const size_t line_feed = reply_text.find('\n');
    std::string_view line = reply_text.substr(0, line_feed);
    reply_text.remove_prefix(
        line_feed == std::string_view::npos ? line.size() : line_feed + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (!greeting && line.size() > kCodeOctets && line.substr(0, 3) == "250") {
      ReadLine(TrimBlanks(line.substr(kCodeOctets)), found);
    }
    greeting = false;
  }
  return found;
}

EhloCapabilities MinimumCapabilities() {
  EhloCapabilities minimum;
  minimum.pipelining = true;
  minimum.size = 0;
  return minimum;
}

uint64_t SmallerLimit(uint64_t a, uint64_t b) {
  if (a == 0 || b == 0) return std::max(a, b);
  return std::min(a, b);
}

std::string FormatEhloReply(std::string_view hostname,
                            const EhloCapabilities& backend,
                            bool offer_starttls, uint64_t size_limit) {
  std::string text("250-");
  text.append(hostname).append("\r\n");
  size_t last_line = 0;
  const auto add = [&](std::string_view keyword) {
    last_line = text.size();
    text.append("250-").append(keyword).append("\r\n");
  };
  if (backend.size.has_value()) {
    const uint64_t limit = SmallerLimit(*backend.size, size_limit);
    add(limit == 0 ? std::string("SIZE") : "SIZE " + std::to_string(limit));
  }
  if (offer_starttls) add("STARTTLS");
  const std::string mechanisms = OfferedMechanisms(backend.auth);
  if (!mechanisms.empty()) add("AUTH " + mechanisms);
  for (const Flag& flag : kFlags) {
    if (flag.relayed && backend.*flag.member) add(flag.keyword);
  }
  text[last_line + 3] = ' ';
  return text;
}

}  // namespace tlspost::smtp
