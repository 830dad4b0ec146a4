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

// Not relayed: ETRN serves no client of ours, HELP is ours to answer, STARTTLS
// ours to offer.
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
    Flag{"CHUNKING", &EhloCapabilities::chunking, true},
    Flag{"BINARYMIME", &EhloCapabilities::binary_mime, true},
};

// RFC 9422 section 3: "RCPTMAX=100 MAILMAX=5"; other names mean nothing to us.
AnnouncedLimits ReadLimits(std::string_view parameters) {
  AnnouncedLimits found;
  while (!parameters.empty()) {
    const std::string_view word = TakeWord(parameters);
    const size_t equals = word.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view name = word.substr(0, equals);
    const std::optional<uint64_t> value = ParseNumber(word.substr(equals + 1));
    if (EqualsIgnoreCase(name, "MAILMAX")) found.mails = value;
    if (EqualsIgnoreCase(name, "RCPTMAX")) found.recipients = value;
    if (EqualsIgnoreCase(name, "RCPTDOMAINMAX")) {
      found.recipient_domains = value;
    }
  }
  return found;
}

std::string FormatLimits(const AnnouncedLimits& limits) {
  std::string text;
  const auto add = [&](std::string_view name, std::optional<uint64_t> value) {
    if (!value.has_value()) return;
    text.append(" ").append(name).append("=").append(std::to_string(*value));
  };
  add("MAILMAX", limits.mails);
  add("RCPTMAX", limits.recipients);
  add("RCPTDOMAINMAX", limits.recipient_domains);
  return text.empty() ? text : "LIMITS" + text;
}

std::string FormatSize(uint64_t limit) {
  return limit == 0 ? std::string("SIZE") : "SIZE " + std::to_string(limit);
}

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
  } else if (EqualsIgnoreCase(keyword, "LIMITS")) {
    found.limits = ReadLimits(parameters);
  } else if (EqualsIgnoreCase(keyword, "XCLIENT")) {
    found.xclient = AttributeSet::FromList(parameters);
  } else if (EqualsIgnoreCase(keyword, "XFORWARD")) {
    found.xforward = AttributeSet::FromList(parameters);
  }
}

// Of two lines "AUTH PLAIN LOGIN"; empty when they share no mechanism.
std::string CommonMechanisms(std::string_view a, std::string_view b) {
  std::string common;
  TakeWord(a);
  while (!a.empty()) {
    const std::string_view mechanism = TakeWord(a);
    std::string_view others = b;
    TakeWord(others);
    while (!others.empty()) {
      const std::string_view other = TakeWord(others);
      if (mechanism.empty() || !EqualsIgnoreCase(mechanism, other)) continue;
      common.append(common.empty() ? "AUTH " : " ").append(mechanism);
      break;
    }
  }
  return common;
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
  // RFC 3030 section 3: without BDAT there is no way for it.
  found.binary_mime = found.binary_mime && found.chunking;
  return found;
}

OptionSet OptionsOf(const EhloCapabilities& capabilities) {
  OptionSet options = 0;
  const auto add = [&](bool has, Option option) {
    if (has) options = static_cast<OptionSet>(options | option);
  };
  add(capabilities.size.has_value(), kSizeOption);
  add(capabilities.eight_bit_mime, kEightBitMimeOption);
  add(capabilities.smtputf8, kSmtpUtf8Option);
  add(capabilities.dsn, kDsnOption);
  add(capabilities.binary_mime, kBinaryMimeOption);
  add(capabilities.chunking, kChunkingOption);
  return options;
}

bool Discard(std::string_view keyword, EhloCapabilities& capabilities) {
  bool known = true;
  if (EqualsIgnoreCase(keyword, "SIZE")) {
    capabilities.size.reset();
  } else if (EqualsIgnoreCase(keyword, "AUTH")) {
    capabilities.auth.clear();
  } else if (EqualsIgnoreCase(keyword, "LIMITS")) {
    capabilities.limits.reset();
  } else {
    known = false;
  }
  for (const Flag& flag : kFlags) {
    if (!flag.relayed || !EqualsIgnoreCase(keyword, flag.keyword)) continue;
    capabilities.*flag.member = false;
    known = true;
  }
  capabilities.binary_mime = capabilities.binary_mime && capabilities.chunking;
  return known;
}

std::string Difference(const EhloCapabilities& before,
                       const EhloCapabilities& after) {
  std::string text;
  const auto add = [&](char sign, std::string_view word) {
    if (!text.empty()) text.append(" ");
    if (sign != 0) text.push_back(sign);
    text.append(word);
  };
  const auto compare = [&](std::string_view keyword, bool had, bool has) {
    if (had != has) add(has ? '+' : '-', keyword);
  };
  for (const Flag& flag : kFlags) {
    compare(flag.keyword, before.*flag.member, after.*flag.member);
  }
  compare("SIZE", before.size.has_value(), after.size.has_value());
  if (before.size.has_value() && after.size.has_value() &&
      *before.size != *after.size) {
    add(0, FormatSize(*after.size));
  }
  compare("AUTH", !before.auth.empty(), !after.auth.empty());
  if (!before.auth.empty() && !after.auth.empty() &&
      before.auth != after.auth) {
    add(0, "\"" + after.auth + "\"");
  }
  compare("LIMITS", before.limits.has_value(), after.limits.has_value());
  if (before.limits.has_value() && after.limits.has_value() &&
      before.limits != after.limits) {
    add(0, "\"" + FormatLimits(*after.limits) + "\"");
  }
  compare("XCLIENT", !before.xclient.empty(), !after.xclient.empty());
  compare("XFORWARD", !before.xforward.empty(), !after.xforward.empty());
  return text;
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

EhloCapabilities CommonCapabilities(const EhloCapabilities& a,
                                    const EhloCapabilities& b) {
  EhloCapabilities common;
  for (const Flag& flag : kFlags) {
    common.*flag.member = a.*flag.member && b.*flag.member;
  }
  if (a.size.has_value() && b.size.has_value()) {
    common.size = SmallerLimit(*a.size, *b.size);
  }
  common.xclient = a.xclient.And(b.xclient);
  common.xforward = a.xforward.And(b.xforward);
  common.auth = CommonMechanisms(a.auth, b.auth);
  return common;
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
    add(FormatSize(SmallerLimit(*backend.size, size_limit)));
  }
  if (offer_starttls) add("STARTTLS");
  const std::string mechanisms = OfferedMechanisms(backend.auth);
  if (!mechanisms.empty()) add("AUTH " + mechanisms);
  for (const Flag& flag : kFlags) {
    if (flag.relayed && backend.*flag.member) add(flag.keyword);
  }
  const std::string limits =
      FormatLimits(backend.limits.value_or(AnnouncedLimits()));
  if (!limits.empty()) add(limits);
  text[last_line + 3] = ' ';
  return text;
}

}  // namespace tlspost::smtp
