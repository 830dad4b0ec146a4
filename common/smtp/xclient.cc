#include "common/smtp/xclient.h"

#include <array>

#include "common/base/check.h"
#include "common/base/spare_string.h"
#include "common/smtp/text.h"

namespace tlspost::smtp {
namespace {

struct AttributeName {
  ClientAttribute attribute;
  std::string_view name;
};

// In the order they are sent: protocol.md A2 wants ADDR last.
constexpr std::array kAttributeNames = {
    AttributeName{ClientAttribute::kHelo, "HELO"},
    AttributeName{ClientAttribute::kProto, "PROTO"},
    AttributeName{ClientAttribute::kSource, "SOURCE"},
    AttributeName{ClientAttribute::kIdent, "IDENT"},
    AttributeName{ClientAttribute::kPort, "PORT"},
    AttributeName{ClientAttribute::kDestAddress, "DESTADDR"},
    AttributeName{ClientAttribute::kDestPort, "DESTPORT"},
    AttributeName{ClientAttribute::kLogin, "LOGIN"},
    AttributeName{ClientAttribute::kReverseName, "REVERSE_NAME"},
    AttributeName{ClientAttribute::kName, "NAME"},
    AttributeName{ClientAttribute::kAddress, "ADDR"},
};

constexpr std::string_view kUnavailable = "[UNAVAILABLE]";
constexpr std::string_view kTempUnavailable = "[TEMPUNAVAIL]";

// Longest value of one attribute, as sent (XCLIENT_README: 255 octets).
constexpr size_t kMaxValueOctets = 255;
// What is left of a HELO when the command would be too long with all of it.
constexpr size_t kShortHeloOctets = 64;
// An IPv6 address in full, with an embedded IPv4 one.
constexpr size_t kMaxAddressOctets = 45;

bool MustEncode(char c) { return c <= ' ' || c > '~' || c == '+' || c == '='; }

void AppendName(std::string_view name, std::string& out) {
  if (name.empty() || name == "unknown") {
    out += kUnavailable;
    return;
  }
  const size_t begin = out.size();
  AppendXtext(name, out);
  if (out.size() - begin <= kMaxValueOctets) return;
  out.resize(begin);
  out += kUnavailable;
}

void AppendNumber(uint16_t number, std::string& out) {
  if (number == 0) {
    out += kUnavailable;
  } else {
    out += std::to_string(number);
  }
}

void AppendAddress(std::string_view address, std::string& out) {
  if (address.empty()) {
    out += kUnavailable;
    return;
  }
  TLSPOST_REQUIRE(address.size() <= kMaxAddressOctets);
  if (address.find(':') != std::string_view::npos) out += "IPV6:";
  AppendXtext(address, out);
}

// The start of `helo` whose encoding fits into `limit`.
void AppendHelo(std::string_view helo, size_t limit, std::string& out) {
  if (helo.empty()) {
    out += kUnavailable;
    return;
  }
  const size_t begin = out.size();
  for (size_t i = 0; i < helo.size(); ++i) {
    const size_t octets = MustEncode(helo[i]) ? 3 : 1;
    if (out.size() - begin + octets > limit) return;
    AppendXtext(helo.substr(i, 1), out);
  }
}

// What was given up so that one command holds everything.
struct Sacrifice {
  bool reverse_name = false;
  bool helo_end = false;
  bool name = false;
  bool login = false;
};

void AppendValue(ClientAttribute attribute, const ClientIdentity& identity,
                 std::string_view ident, const Sacrifice& without,
                 std::string& out) {
  switch (attribute) {
    case ClientAttribute::kHelo:
      return AppendHelo(identity.helo,
                        without.helo_end ? kShortHeloOctets : kMaxValueOctets,
                        out);
    case ClientAttribute::kProto:
      out += identity.esmtp ? "ESMTP" : "SMTP";
      return;
    case ClientAttribute::kSource:
      out += "REMOTE";
      return;
    case ClientAttribute::kIdent:
      return AppendName(ident, out);
    case ClientAttribute::kPort:
      return AppendNumber(identity.port, out);
    case ClientAttribute::kDestAddress:
      return AppendAddress(identity.dest_address, out);
    case ClientAttribute::kDestPort:
      return AppendNumber(identity.dest_port, out);
    case ClientAttribute::kLogin:
      return AppendName(without.login ? "" : identity.login, out);
    case ClientAttribute::kReverseName:
      if (identity.reverse_name.empty() && identity.reverse_name_later) {
        out += kTempUnavailable;
        return;
      }
      return AppendName(without.reverse_name ? "" : identity.reverse_name, out);
    case ClientAttribute::kName:
      // XFORWARD, which has an ident, has no such word.
      if (identity.name.empty() && identity.name_later && ident.empty()) {
        out += kTempUnavailable;
        return;
      }
      return AppendName(without.name ? "" : identity.name, out);
    case ClientAttribute::kAddress:
      return AppendAddress(identity.address, out);
  }
  TLSPOST_CHECK(false);
}

std::string XclientCommand(AttributeSet attributes,
                           const ClientIdentity& identity,
                           const Sacrifice& without) {
  std::string command = TakeSpareString();
  command = "XCLIENT";
  for (const AttributeName& known : kAttributeNames) {
    if (!attributes.Has(known.attribute)) continue;
    command.append(" ").append(known.name).append("=");
    AppendValue(known.attribute, identity, {}, without, command);
  }
  command.append("\r\n");
  return command;
}

}  // namespace

AttributeSet AttributeSet::FromList(std::string_view names) {
  AttributeSet set;
  while (true) {
    const std::string_view word = TakeWord(names);
    if (word.empty()) return set;
    for (const AttributeName& known : kAttributeNames) {
      if (EqualsIgnoreCase(word, known.name)) set.Add(known.attribute);
    }
  }
}

void AppendXtext(std::string_view value, std::string& out) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (const char c : value) {
    if (!MustEncode(c)) {
      out += c;
      continue;
    }
    const auto octet = static_cast<unsigned char>(c);
    out += '+';
    out += kHex[octet >> 4];
    out += kHex[octet & 0xf];
  }
}

std::string EncodeXclient(AttributeSet attributes,
                          const ClientIdentity& identity) {
  TLSPOST_REQUIRE(attributes.Has(ClientAttribute::kAddress));
  // ADDR=[UNAVAILABLE] would bar the connection for ever (finding 4).
  TLSPOST_REQUIRE(!identity.address.empty());
  Sacrifice without;
  bool Sacrifice::*const order[] = {&Sacrifice::reverse_name,
                                    &Sacrifice::helo_end, &Sacrifice::name,
                                    &Sacrifice::login};
  std::string command = XclientCommand(attributes, identity, without);
  for (const auto next : order) {
    if (command.size() <= kMaxXclientOctets) break;
    without.*next = true;
    command = XclientCommand(attributes, identity, without);
  }
  TLSPOST_CHECK(command.size() <= kMaxXclientOctets);
  return command;
}

std::vector<std::string> EncodeXforward(AttributeSet attributes,
                                        const ClientIdentity& identity,
                                        std::string_view ident) {
  constexpr std::string_view kVerb = "XFORWARD";
  std::vector<std::string> commands;
  std::string command(kVerb);
  for (const AttributeName& known : kAttributeNames) {
    if (!attributes.Has(known.attribute)) continue;
    std::string pair(" ");
    pair.append(known.name).append("=");
    AppendValue(known.attribute, identity, ident, Sacrifice{}, pair);
    if (command.size() + pair.size() + 2 > kMaxXclientOctets) {
      commands.push_back(command.append("\r\n"));
      command = kVerb;
    }
    command += pair;
  }
  if (command.size() > kVerb.size()) commands.push_back(command.append("\r\n"));
  return commands;
}

}  // namespace tlspost::smtp
