// Command: one line of a client, and the table of everything it may say.
//
// The table is the only place that knows which verbs exist, when they are
// allowed and what they take. Lines are views: nothing is copied. Keeps no
// state of a session and answers nothing itself.

#ifndef TLSPOST_COMMON_SMTP_COMMAND_H_
#define TLSPOST_COMMON_SMTP_COMMAND_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "common/smtp/reply.h"

namespace tlspost::smtp {

enum class Verb : uint8_t {
  kHelo,
  kEhlo,
  kStartTls,
  kAuth,
  kMail,
  kRcpt,
  kData,
  kRset,
  kNoop,
  kVrfy,
  kHelp,
  kQuit,
  kBdat,
  kExpn,
  kEtrn,
  kBurl,
  kTurn,
  kXclient,
  kXforward,
  kProxy,
  kForbidden,  // a word of HTTP: the client is no mail client at all (edge 8)
  kEmpty,      // a line of blanks, or nothing (edge 62)
  kUnknown,
};

enum class Argument : uint8_t { kRequired, kOptional, kForbidden };

// What is known of a verb, the same for every session.
struct VerbInfo {
  Verb verb;
  std::string_view name;  // upper case; empty for kEmpty and kUnknown
  Argument argument;
  bool implemented;  // else: 502 (edges 64, 65)
  bool before_tls;   // allowed in plaintext where TLS is required (edge 38)
  bool junk;         // counts as junk: does not bring a mail nearer (66)
  bool to_backend;   // its line goes to the backend
  bool ends_group;   // RFC 2920 section 3.1: last in a pipelined group
  Reply syntax;      // the answer to a wrong argument
};

const VerbInfo& InfoOf(Verb verb);

struct Command {
  Verb verb = Verb::kEmpty;
  std::string_view verb_text;  // as the client spelled it
  std::string_view argument;   // without the blanks around it
  std::string_view line;       // all of it, without its line end
};

// Whether a line that begins with `start` may be a BDAT, if only a broken one,
// so that what comes behind it is a chunk and no command. Blanks and control
// octets are overlooked, wherever they stand. `cut`: the line goes on.
bool MayBeBdat(std::string_view start, bool cut);

// Reads `line`, which has no line end any more. Blanks before and behind are
// ignored, as Postfix does; what MayBeBdat is one. The views in the result are
// into `line`.
Command ParseCommand(std::string_view line);

// The refusal a command earns by its shape alone, whatever the session's
// state: control octets, no command, unknown or not implemented, an argument
// missing or one too many. Nothing when it may be looked at further.
std::optional<Reply> RefuseByShape(const Command& command);

}  // namespace tlspost::smtp

#endif  // TLSPOST_COMMON_SMTP_COMMAND_H_
