// A command line as any client may send it, through the parsers; and what we
// would send on for it, through them again.

#include <string>

#include "common/smtp/auth.h"
#include "common/smtp/command.h"
#include "common/smtp/envelope.h"
#include "common/smtp/text.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/targets.h"

namespace tlspost::fuzz {
namespace {

bool Within(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() &&
          part.data() + part.size() <= whole.data() + whole.size());
}

// One line, and nothing in it that a backend could take for another's end.
void ExpectOneLine(std::string_view wire) {
  Expect(wire.size() >= 2 && wire.substr(wire.size() - 2) == "\r\n",
         "a command for the backend ends in CRLF");
  Expect(wire.find_first_of(std::string_view("\r\n\0", 3)) == wire.size() - 2,
         "a command for the backend is one line");
}

void Mail(std::string_view argument) {
  const auto mail = smtp::ParseMail(argument);
  if (!mail.ok()) return;
  Expect(Within(mail->path, argument), "the path is in the argument");
  smtp::RefuseMail(*mail, smtp::EhloCapabilities(), 1000);
  std::string wire;
  smtp::AppendMailLine(*mail, /*keep_auth=*/false, wire);
  ExpectOneLine(wire);
  const std::string again(wire.substr(5, wire.size() - 7));
  const auto sent = smtp::ParseMail(again);
  Expect(sent.ok(), "what is sent for MAIL can be read");
  Expect(sent->path == mail->path, "the sender stays");
  Expect(sent->size == mail->size && sent->smtputf8 == mail->smtputf8 &&
             sent->body_8bit == mail->body_8bit && sent->dsn == mail->dsn,
         "the parameters of MAIL stay");
  Expect(!sent->auth.has_value(), "AUTH is left out");
}

void Rcpt(std::string_view argument) {
  const auto rcpt = smtp::ParseRcpt(argument);
  if (!rcpt.ok()) return;
  Expect(Within(rcpt->path, argument), "the path is in the argument");
  smtp::RefuseRcpt(*rcpt, smtp::EhloCapabilities(), false);
  std::string wire;
  smtp::AppendRcptLine(*rcpt, wire);
  ExpectOneLine(wire);
  const std::string again(wire.substr(5, wire.size() - 7));
  const auto sent = smtp::ParseRcpt(again);
  Expect(sent.ok() && sent->path == rcpt->path && sent->dsn == rcpt->dsn,
         "what is sent for RCPT means the same");
}

}  // namespace

void Command(std::string_view octets) {
  // A line has no end in it any more.
  const std::string_view line = octets.substr(0, octets.find('\n'));
  const smtp::Command command = smtp::ParseCommand(line);
  Expect(Within(command.argument, line) && Within(command.verb_text, line),
         "the parts of a command are in its line");
  const auto refusal = smtp::RefuseByShape(command);
  if (refusal.has_value()) return;
  Expect(!smtp::HasControlOctets(line), "control octets are refused");
  switch (command.verb) {
    case smtp::Verb::kMail:
      return Mail(command.argument);
    case smtp::Verb::kRcpt:
      return Rcpt(command.argument);
    case smtp::Verb::kAuth: {
      const auto auth = smtp::ParseAuth(command.argument, "PLAIN LOGIN");
      if (!auth.ok()) return;
      Expect(Within(auth->response, line), "the response is in the line");
      smtp::UserNameOf(auth->mechanism, {std::string(auth->response)});
      return;
    }
    default:
      return;
  }
}

}  // namespace tlspost::fuzz
