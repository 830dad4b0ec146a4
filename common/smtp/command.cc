#include "common/smtp/command.h"

#include <array>

#include "common/base/check.h"
#include "common/smtp/text.h"

namespace tlspost::smtp {
namespace {

constexpr Argument kNeeds = Argument::kRequired;
constexpr Argument kTakes = Argument::kOptional;
constexpr Argument kNone = Argument::kForbidden;

constexpr std::array kVerbs = {
    // clang-format off
    //                              implemented before_tls junk to_backend ends_group
    VerbInfo{Verb::kHelo,     "HELO",     kNeeds, true,  true,  true,  false, true,  reply::kSyntaxHelo},
    VerbInfo{Verb::kEhlo,     "EHLO",     kNeeds, true,  true,  true,  false, true,  reply::kSyntaxEhlo},
    VerbInfo{Verb::kStartTls, "STARTTLS", kNone,  true,  true,  false, false, true,  reply::kSyntaxStartTls},
    VerbInfo{Verb::kAuth,     "AUTH",     kNeeds, true,  false, false, true,  true,  reply::kSyntaxAuth},
    VerbInfo{Verb::kMail,     "MAIL",     kNeeds, true,  false, false, true,  false, reply::kSyntaxMail},
    VerbInfo{Verb::kRcpt,     "RCPT",     kNeeds, true,  false, false, true,  false, reply::kSyntaxRcpt},
    VerbInfo{Verb::kData,     "DATA",     kNone,  true,  false, false, true,  true,  reply::kSyntaxData},
    VerbInfo{Verb::kRset,     "RSET",     kNone,  true,  false, true,  true,  false, reply::kSyntaxRset},
    VerbInfo{Verb::kNoop,     "NOOP",     kTakes, true,  true,  true,  false, true,  reply::kBadSyntax},
    VerbInfo{Verb::kVrfy,     "VRFY",     kNeeds, true,  false, true,  false, true,  reply::kSyntaxVrfy},
    VerbInfo{Verb::kHelp,     "HELP",     kTakes, true,  false, true,  false, true,  reply::kBadSyntax},
    VerbInfo{Verb::kQuit,     "QUIT",     kNone,  true,  true,  false, false, true,  reply::kSyntaxQuit},
    VerbInfo{Verb::kBdat,     "BDAT",     kNeeds, true,  false, false, true,  true,  reply::kSyntaxBdat},
    VerbInfo{Verb::kExpn,     "EXPN",     kTakes, false, false, true,  false, true,  reply::kBadSyntax},
    VerbInfo{Verb::kEtrn,     "ETRN",     kTakes, false, false, true,  false, true,  reply::kBadSyntax},
    VerbInfo{Verb::kBurl,     "BURL",     kTakes, false, false, false, false, true,  reply::kBadSyntax},
    VerbInfo{Verb::kTurn,     "TURN",     kTakes, false, false, true,  false, true,  reply::kBadSyntax},
    VerbInfo{Verb::kXclient,  "XCLIENT",  kTakes, false, false, false, false, true,  reply::kBadSyntax},
    VerbInfo{Verb::kXforward, "XFORWARD", kTakes, false, false, false, false, true,  reply::kBadSyntax},
    VerbInfo{Verb::kProxy,    "PROXY",    kTakes, false, false, false, false, true,  reply::kBadSyntax},
    VerbInfo{Verb::kForbidden, "GET",     kTakes, false, false, false, false, true,  reply::kBadSyntax},
    VerbInfo{Verb::kForbidden, "POST",    kTakes, false, false, false, false, true,  reply::kBadSyntax},
    VerbInfo{Verb::kForbidden, "CONNECT", kTakes, false, false, false, false, true,  reply::kBadSyntax},
    VerbInfo{Verb::kForbidden, "HEAD",    kTakes, false, false, false, false, true,  reply::kBadSyntax},
    VerbInfo{Verb::kForbidden, "PUT",     kTakes, false, false, false, false, true,  reply::kBadSyntax},
    VerbInfo{Verb::kForbidden, "DELETE",  kTakes, false, false, false, false, true,  reply::kBadSyntax},
    VerbInfo{Verb::kForbidden, "OPTIONS", kTakes, false, false, false, false, true,  reply::kBadSyntax},
    VerbInfo{Verb::kForbidden, "TRACE",   kTakes, false, false, false, false, true,  reply::kBadSyntax},
    VerbInfo{Verb::kForbidden, "PATCH",   kTakes, false, false, false, false, true,  reply::kBadSyntax},
    VerbInfo{Verb::kEmpty,    "",         kTakes, false, false, false, false, false, reply::kBadSyntax},
    VerbInfo{Verb::kUnknown,  "",         kTakes, false, false, false, false, false, reply::kBadSyntax},
    // clang-format on
};

Verb VerbOf(std::string_view word) {
  if (word.empty()) return Verb::kEmpty;
  for (const VerbInfo& info : kVerbs) {
    if (EqualsIgnoreCase(word, info.name)) return info.verb;
  }
  return Verb::kUnknown;
}

}  // namespace

const VerbInfo& InfoOf(Verb verb) {
  const VerbInfo* found = nullptr;
  for (const VerbInfo& info : kVerbs) {
    if (info.verb == verb && found == nullptr) found = &info;
  }
  TLSPOST_CHECK(found != nullptr);
  return *found;
}

bool MayBeBdat(std::string_view start, bool cut) {
  constexpr std::string_view kBdat = "BDAT";
  std::string word;
  for (const char c : start) {
    const bool is_blank = IsBlank(c) && word.empty();
    if (is_blank || HasControlOctets({&c, 1})) continue;
    word += c;
    if (word.size() == kBdat.size()) break;
  }
  if (word.size() < kBdat.size() && !cut) return false;
  return EqualsIgnoreCase(word, kBdat.substr(0, word.size()));
}

Command ParseCommand(std::string_view line) {
  Command command;
  command.line = line;
  command.argument = TrimBlanks(line);
  command.verb_text = TakeWord(command.argument);
  command.verb = VerbOf(command.verb_text);
  if (HasControlOctets(line) && MayBeBdat(line, /*cut=*/false)) {
    command.verb = Verb::kBdat;
  }
  return command;
}

std::optional<Reply> RefuseByShape(const Command& command) {
  // Edge 61: never further than here, so that nothing behind has to fear them.
  if (HasControlOctets(command.line)) return reply::kBadSyntax;
  if (command.verb == Verb::kEmpty) return reply::kBadSyntax;
  if (command.verb == Verb::kUnknown) return reply::kNotRecognized;
  if (command.verb == Verb::kForbidden) return reply::kNonSmtpCommand;
  const VerbInfo& info = InfoOf(command.verb);
  if (!info.implemented) return reply::kNotImplemented;
  const bool missing =
      info.argument == Argument::kRequired && command.argument.empty();
  const bool too_many =
      info.argument == Argument::kForbidden && !command.argument.empty();
  if (missing || too_many) return info.syntax;
  return std::nullopt;
}

}  // namespace tlspost::smtp
