#include "common/smtp/envelope.h"

#include <algorithm>

#include "common/smtp/text.h"

namespace tlspost::smtp {
namespace {

// An address and what follows it.
struct PathAndRest {
  std::string_view path;
  std::string_view rest;
};

// The end of the address that starts `text`: the first octet for which
// `ends(c)` that is not within a quoted string, nor escaped. RFC 5321 section
// 4.1.2: Quoted-string may hold '>', '<' and blanks. npos: a quote never ends,
// or a backslash has nothing to escape (in a line of ours it would be our '>').
template <typename Ends>
size_t FindUnquoted(std::string_view text, Ends ends) {
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      if (++i == text.size()) return std::string_view::npos;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && ends(text[i])) {
      return i;
    }
  }
  return quoted ? std::string_view::npos : text.size();
}

// Takes the address off the front of `text`. Nothing: it is not well formed.
std::optional<PathAndRest> SplitPath(std::string_view text) {
  if (text.front() != '<') {
    const size_t end = FindUnquoted(
        text, [](char c) { return IsBlank(c) || c == '<' || c == '>'; });
    if (end == std::string_view::npos) return std::nullopt;
    if (end < text.size() && !IsBlank(text[end])) return std::nullopt;
    return PathAndRest{text.substr(0, end), TrimBlanks(text.substr(end))};
  }
  text.remove_prefix(1);
  const size_t end = FindUnquoted(
      text, [](char c) { return c == '<' || c == '>' || IsBlank(c); });
  if (end >= text.size() || text[end] != '>') return std::nullopt;
  const std::string_view rest = text.substr(end + 1);
  if (!rest.empty() && !IsBlank(rest.front())) return std::nullopt;
  return PathAndRest{text.substr(0, end), TrimBlanks(rest)};
}

// One "KEYWORD" or "KEYWORD=VALUE".
struct Parameter {
  std::string_view keyword;
  std::optional<std::string_view> value;
};

Parameter SplitParameter(std::string_view word) {
  const size_t equals = word.find('=');
  if (equals == std::string_view::npos) return {word, std::nullopt};
  return {word.substr(0, equals), word.substr(equals + 1)};
}

bool Is(const Parameter& parameter, std::string_view keyword) {
  return EqualsIgnoreCase(parameter.keyword, keyword);
}

bool HasValue(const Parameter& parameter) {
  return parameter.value.has_value() && !parameter.value->empty();
}

// RFC 3461 section 4: NOTIFY=NEVER, or some of the other three.
bool ValidNotify(std::string_view value) {
  if (EqualsIgnoreCase(value, "NEVER")) return true;
  while (true) {
    const size_t comma = value.find(',');
    const std::string_view word = value.substr(0, comma);
    if (!EqualsIgnoreCase(word, "SUCCESS") &&
        !EqualsIgnoreCase(word, "FAILURE") &&
        !EqualsIgnoreCase(word, "DELAY")) {
      return false;
    }
    if (comma == std::string_view::npos) return true;
    value.remove_prefix(comma + 1);
  }
}

// Notes one parameter of MAIL; the refusal if it is not one we carry through.
std::optional<Reply> ReadMailParameter(const Parameter& parameter,
                                       MailArguments& mail) {
  const std::string_view value = parameter.value.value_or("");
  if (Is(parameter, "SIZE")) {
    mail.size = ParseNumber(value);
    if (!mail.size.has_value()) return reply::kBadSize;
  } else if (Is(parameter, "BODY")) {
    // RFC 6152 section 3, RFC 3030 section 3.
    mail.body_7bit = EqualsIgnoreCase(value, "7BIT");
    mail.body_8bit = EqualsIgnoreCase(value, "8BITMIME");
    mail.body_binary = EqualsIgnoreCase(value, "BINARYMIME");
    if (!mail.body_7bit && !mail.body_8bit && !mail.body_binary) {
      return reply::kUnsupportedOption;
    }
  } else if (Is(parameter, "SMTPUTF8")) {
    // RFC 6531 section 3.4: takes no value.
    if (parameter.value.has_value()) return reply::kUnsupportedOption;
    mail.smtputf8 = true;
  } else if (Is(parameter, "RET")) {
    mail.dsn = true;
    const bool valid =
        EqualsIgnoreCase(value, "FULL") || EqualsIgnoreCase(value, "HDRS");
    if (!valid) return reply::kBadRet;
  } else if (Is(parameter, "ENVID")) {
    mail.dsn = true;
    if (!HasValue(parameter)) return reply::kBadEnvid;
  } else if (Is(parameter, "AUTH")) {
    if (!HasValue(parameter)) return reply::kSyntaxMail;
    mail.auth = value;
  } else {
    return reply::kUnsupportedOption;  // RFC 5321 section 4.1.1.11
  }
  return std::nullopt;
}

std::optional<Reply> ReadRcptParameter(const Parameter& parameter,
                                       RcptArguments& rcpt) {
  const std::string_view value = parameter.value.value_or("");
  rcpt.dsn = true;
  if (Is(parameter, "NOTIFY")) {
    if (!ValidNotify(value)) return reply::kBadNotify;
  } else if (Is(parameter, "ORCPT")) {
    // RFC 3461 section 4.2: addr-type ";" xtext.
    const size_t semicolon = value.find(';');
    if (semicolon == 0 || semicolon >= value.size() - 1) {
      return reply::kBadOrcpt;
    }
  } else {
    return reply::kUnsupportedOption;
  }
  return std::nullopt;
}

// What MAIL and RCPT have in common: KEYWORD ADDRESS PARAMETERS, where only
// the keyword and the refusals differ.
template <typename Arguments, typename ReadParameter>
ReplyOr<Arguments> Parse(std::string_view argument, std::string_view keyword,
                         const Reply& syntax, const Reply& bad_address,
                         ReadParameter read_parameter) {
  if (!StartsWithIgnoreCase(argument, keyword)) return syntax;
  const std::string_view text = TrimBlanks(argument.substr(keyword.size()));
  if (text.empty()) return syntax;
  const auto split = SplitPath(text);
  if (!split.has_value()) return bad_address;
  Arguments arguments;
  arguments.path = split->path;
  arguments.parameters = split->rest;
  std::string_view words = split->rest;
  while (!words.empty()) {
    const Parameter parameter = SplitParameter(TakeWord(words));
    const std::optional<Reply> refusal = read_parameter(parameter, arguments);
    if (refusal.has_value()) return *refusal;
  }
  return arguments;
}

void AppendLine(std::string_view start, std::string_view path,
                std::string_view parameters, bool keep_auth, std::string& out) {
  out.append(start).append(path).append(">");
  while (!parameters.empty()) {
    const std::string_view word = TakeWord(parameters);
    if (!keep_auth && Is(SplitParameter(word), "AUTH")) continue;
    out.append(" ").append(word);
  }
  out.append("\r\n");
}

// The refusal of options that the backend has not: they are never stripped
// silently (edge 51).
std::optional<Reply> RefuseOptions(OptionSet wanted,
                                   const EhloCapabilities& backend,
                                   OptionSet offered) {
  const int missing = wanted & ~OptionsOf(backend);
  if (missing == 0) return std::nullopt;
  return (missing & ~offered) == 0 ? reply::kOptionNotNow
                                   : reply::kUnsupportedOption;
}

}  // namespace

ReplyOr<MailArguments> ParseMail(std::string_view argument) {
  return Parse<MailArguments>(argument, "FROM:", reply::kSyntaxMail,
                              reply::kBadSender, ReadMailParameter);
}

ReplyOr<RcptArguments> ParseRcpt(std::string_view argument) {
  auto rcpt = Parse<RcptArguments>(argument, "TO:", reply::kSyntaxRcpt,
                                   reply::kBadRecipient, ReadRcptParameter);
  // Only a sender may be null (RFC 5321 section 4.1.2: Forward-path).
  if (rcpt.ok() && rcpt->path.empty()) return reply::kBadRecipient;
  return rcpt;
}

std::optional<Reply> RefuseMail(const MailArguments& mail,
                                const EhloCapabilities& backend,
                                uint64_t size_limit, OptionSet offered) {
  OptionSet wanted = 0;
  if (mail.body_7bit || mail.body_8bit) wanted |= kEightBitMimeOption;
  if (mail.body_binary) wanted |= kBinaryMimeOption;
  if (mail.smtputf8) wanted |= kSmtpUtf8Option;
  if (mail.dsn) wanted |= kDsnOption;
  if (mail.size.has_value()) wanted |= kSizeOption;
  const std::optional<Reply> missing = RefuseOptions(wanted, backend, offered);
  if (missing.has_value()) return missing;
  if (HasEightBit(mail.path) && !mail.smtputf8) {
    return reply::kMustDeclareSmtpUtf8;  // RFC 6531 section 3.5
  }
  const uint64_t limit = SmallerLimit(backend.size.value_or(0), size_limit);
  if (limit != 0 && mail.size.value_or(0) > limit) {
    return reply::kSizeOverLimit;  // RFC 1870 section 6.1
  }
  return std::nullopt;
}

std::optional<Reply> RefuseRcpt(const RcptArguments& rcpt,
                                const EhloCapabilities& backend, bool smtputf8,
                                OptionSet offered) {
  const OptionSet wanted = rcpt.dsn ? kDsnOption : 0;
  const std::optional<Reply> missing = RefuseOptions(wanted, backend, offered);
  if (missing.has_value()) return missing;
  if (HasEightBit(rcpt.path) && !smtputf8) return reply::kMustDeclareSmtpUtf8;
  return std::nullopt;
}

void AppendMailLine(const MailArguments& mail, bool keep_auth,
                    std::string& out) {
  AppendLine("MAIL FROM:<", mail.path, mail.parameters, keep_auth, out);
}

void AppendRcptLine(const RcptArguments& rcpt, std::string& out) {
  AppendLine("RCPT TO:<", rcpt.path, rcpt.parameters, true, out);
}

}  // namespace tlspost::smtp
