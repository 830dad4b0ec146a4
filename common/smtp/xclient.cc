#include "common/smtp/xclient.h"

#include <array>

#include "common/base/check.h"
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

std::string NameValue(std::string_view name) {
  if (name.empty() || name == "unknown") return std::string(kUnavailable);
  std::string value = EncodeXtext(name);
  return value.size() > kMaxValueOctets ? std::string(kUnavailable) : value;
}

std::string NumberValue(uint16_t number) {
  return number == 0 ? std::string(kUnavailable) : std::to_string(number);
}

std::string AddressValue(std::string_view address) {
  if (address.empty()) return std::string(kUnavailable);
  TLSPOST_REQUIRE(address.size() <= kMaxAddressOctets);
  const bool ipv6 = address.find(':') != std::string_view::npos;
  std::string value(ipv6 ? "IPV6:" : "");
  return value.append(EncodeXtext(address));
}

// The start of `helo` whose encoding fits into `limit`.
std::string HeloValue(std::string_view helo, size_t limit) {
  if (helo.empty()) return std::string(kUnavailable);
  std::string value;
  for (size_t i = 0; i < helo.size(); ++i) {
    const std::string octet = EncodeXtext(helo.substr(i, 1));
    if (value.size() + octet.size() > limit) break;
    value += octet;
  }
  return value;
}

// What was given up so that one command holds everything.
struct Sacrifice {
  bool reverse_name = false;
  bool helo_end = false;
  bool name = false;
  bool login = false;
};

std::string ValueOf(ClientAttribute attribute, const ClientIdentity& identity,
                    std::string_view ident, const Sacrifice& without) {
  switch (attribute) {
    case ClientAttribute::kHelo:
      return HeloValue(identity.helo,
                       without.helo_end ? kShortHeloOctets : kMaxValueOctets);
    case ClientAttribute::kProto:
      return identity.esmtp ? "ESMTP" : "SMTP";
    case ClientAttribute::kSource:
      return "REMOTE";
    case ClientAttribute::kIdent:
      return NameValue(ident);
    case ClientAttribute::kPort:
      return NumberValue(identity.port);
    case ClientAttribute::kDestAddress:
      return AddressValue(identity.dest_address);
    case ClientAttribute::kDestPort:
      return NumberValue(identity.dest_port);
    case ClientAttribute::kLogin:
      return NameValue(without.login ? "" : identity.login);
    case ClientAttribute::kReverseName:
      if (identity.reverse_name.empty() && identity.reverse_name_later) {
        return std::string(kTempUnavailable);
      }
      return NameValue(without.reverse_name ? "" : identity.reverse_name);
    case ClientAttribute::kName:
      // XFORWARD, which has an ident, has no such word.
      if (identity.name.empty() && identity.name_later && ident.empty()) {
        return std::string(kTempUnavailable);
      }
      return NameValue(without.name ? "" : identity.name);
    case ClientAttribute::kAddress:
      return AddressValue(identity.address);
  }
  TLSPOST_CHECK(false);
  return {};
}

std::string XclientCommand(AttributeSet attributes,
                           const ClientIdentity& identity,
                           const Sacrifice& without) {
  std::string command("XCLIENT");
  for (const AttributeName& known : kAttributeNames) {
    if (!attributes.Has(known.attribute)) continue;
    command.append(" ").append(known.name).append("=");
    command += ValueOf(known.attribute, identity, {}, without);
  }
  return command.append("\r\n");
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

std::string EncodeXtext(std::string_view value) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(value.size());
  for (const char c : value) {
    if (!MustEncode(c)) {
      encoded += c;
      continue;
    }
    const auto octet = static_cast<unsigned char>(c);
    encoded += '+';
    encoded += kHex[octet >> 4];
    encoded += kHex[octet & 0xf];
  }
  return encoded;
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
    pair += ValueOf(known.attribute, identity, ident, Sacrifice{});
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
