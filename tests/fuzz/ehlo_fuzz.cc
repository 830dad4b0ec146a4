// What a backend says to EHLO, what we make of it for the client, and the
// XCLIENT and XFORWARD commands that follow from it.

#include <string>

#include "common/smtp/capabilities.h"
#include "common/smtp/xclient.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/targets.h"

namespace tlspost::fuzz {
namespace {

void ExpectCommand(std::string_view command, std::string_view verb) {
  Expect(command.substr(0, verb.size()) == verb, "it is the right command");
  Expect(command.size() <= smtp::kMaxXclientOctets, "it is short enough");
  Expect(command.find_first_of("\r\n") == command.size() - 2, "it is one line");
  for (const char c : command.substr(0, command.size() - 2)) {
    Expect(c >= ' ' && c <= '~', "it is printable");
  }
}

}  // namespace

void Ehlo(std::string_view octets) {
  FuzzInput input(octets);
  smtp::ClientIdentity identity;
  identity.name = input.Piece(255);
  identity.reverse_name = input.Piece(255);
  identity.helo = input.Piece(255);
  identity.login = input.Piece(255);
  identity.address = input.Octet() % 2 == 0 ? "192.0.2.1" : "2001:db8::1";
  identity.port = input.Number16();
  identity.dest_address = "198.51.100.1";
  identity.dest_port = 25;
  const smtp::EhloCapabilities offered = smtp::ParseEhlo(input.Rest());
  if (offered.xclient.Has(smtp::ClientAttribute::kAddress)) {
    ExpectCommand(smtp::EncodeXclient(offered.xclient, identity), "XCLIENT ");
  }
  if (offered.xforward.Has(smtp::ClientAttribute::kAddress)) {
    for (const std::string& command :
         smtp::EncodeXforward(offered.xforward, identity, "AB-1")) {
      ExpectCommand(command, "XFORWARD ");
    }
  }
  const std::string reply =
      smtp::FormatEhloReply("mx.example", offered, true, 1000);
  // AUTH is the one line that comes from the backend as it is.
  const smtp::EhloCapabilities again = smtp::ParseEhlo(reply);
  Expect(again.starttls, "our reply can be read");
  Expect(again.pipelining == offered.pipelining && again.dsn == offered.dsn &&
             again.smtputf8 == offered.smtputf8 &&
             again.eight_bit_mime == offered.eight_bit_mime,
         "our reply offers what the backend does");
  Expect(again.xclient.empty() && again.xforward.empty(),
         "identity is not for clients to claim");
}

}  // namespace tlspost::fuzz
