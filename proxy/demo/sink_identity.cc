// Attributes and their rules.

#include "proxy/demo/sink_identity.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>

#include "common/smtp/text.h"

namespace tlspost {
namespace {

constexpr std::string_view kXforwardAttributes =
    "NAME ADDR PROTO HELO SOURCE PORT IDENT";
constexpr std::string_view kUnavailable = "[UNAVAILABLE]";

bool Lists(std::string_view list, std::string_view name) {
  while (!list.empty()) {
    if (smtp::TakeWord(list) == name) return true;
  }
  return false;
}

// False when it is malformed or names what is not in `list`.
bool ReadAttributes(std::string_view line, std::string_view list,
                    std::map<std::string, std::string>& attributes) {
  smtp::TakeWord(line);
  while (!line.empty()) {
    const std::string_view attribute = smtp::TakeWord(line);
    if (attribute.empty()) break;
    const size_t equals = attribute.find('=');
    if (equals == std::string_view::npos) return false;
    const std::string name = smtp::UpperCase(attribute.substr(0, equals));
    if (!Lists(list, name)) return false;
    const std::string_view value = attribute.substr(equals + 1);
    attributes[name] = value == kUnavailable ? "" : std::string(value);
  }
  return !attributes.empty();
}

std::string AddressText(std::string_view octets) {
  constexpr std::string_view kMapped("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
  if (octets.starts_with(kMapped)) octets.remove_prefix(kMapped.size());
  std::array<char, INET6_ADDRSTRLEN> text = {};
  const bool ipv6 = octets.size() == 16;
  inet_ntop(ipv6 ? AF_INET6 : AF_INET, octets.data(), text.data(), text.size());
  return (ipv6 ? "IPV6:" : "") + std::string(text.data());
}

size_t NumberAt(std::string_view bytes, size_t at) {
  return size_t{static_cast<uint8_t>(bytes[at])} << 8 |
         static_cast<uint8_t>(bytes[at + 1]);
}

}  // namespace

// --- XCLIENT ----------------------------------------------------------------

bool SinkIdentity::MayIdentify() const {
  switch (options_.xclient) {
    case SinkMta::Xclient::kNone:
      return false;
    case SinkMta::Xclient::kMany:
      return true;
    case SinkMta::Xclient::kOnce:
      return !identified_;
  }
  return false;
}

std::string SinkIdentity::Offers() const {
  std::string offers;
  if (MayIdentify()) {
    offers += "250-XCLIENT " + options_.xclient_attributes + "\r\n";
  }
  if (options_.xforward) {
    offers += "250-XFORWARD " + std::string(kXforwardAttributes) + "\r\n";
  }
  return offers;
}

void SinkIdentity::Greet(std::string_view name, bool esmtp) {
  message_.helo = std::string(name);
  wants_greeting_ = false;
  if (identified_) message_.client["HELO"] = message_.helo;
  const auto protocol = message_.client.find("PROTO");
  if (protocol != message_.client.end()) {
    protocol->second = esmtp ? "ESMTP" : "SMTP";
  }
}

std::string SinkIdentity::Xclient(std::string_view line) {
  if (!MayIdentify()) return options_.xclient_denial;
  std::map<std::string, std::string> told;
  if (!ReadAttributes(line, options_.xclient_attributes, told)) {
    return "501 5.5.4 Bad XCLIENT syntax";
  }
  const bool has_port = !options_.xclient_needs_port ||
                        !Lists(options_.xclient_attributes, "PORT") ||
                        told.count("PORT") > 0;
  if (!identified_ && (told.count("ADDR") == 0 || !has_port)) {
    return "501 5.5.4 missing ADDR or PORT";
  }
  identified_ = true;
  message_.user.clear();
  // Postfix forgets these when they are left out, and keeps the others.
  for (const char* name : {"HELO", "PROTO", "LOGIN"}) {
    message_.client.erase(name);
  }
  for (auto& [name, value] : told) message_.client[name] = value;
  if (told.count("HELO") > 0) {
    message_.helo = told["HELO"];
  } else {
    message_.helo.clear();
    wants_greeting_ = true;
  }
  return "220 sink.example ESMTP";
}

// --- XFORWARD ---------------------------------------------------------------

std::string SinkIdentity::Xforward(std::string_view line) {
  if (!options_.xforward) return "550 5.7.0 Error: insufficient authorization";
  std::map<std::string, std::string> told;
  if (!ReadAttributes(line, kXforwardAttributes, told)) {
    return "501 5.5.4 Bad XFORWARD syntax";
  }
  forwarded_ = true;
  for (auto& [name, value] : told) message_.client[name] = value;
  return "250 2.0.0 Ok";
}

void SinkIdentity::EndTransaction() {
  if (forwarded_) message_.client.clear();
  forwarded_ = false;
}

// --- PROXY ------------------------------------------------------------------

SinkIdentity::Header SinkIdentity::TakeProxyHeader(std::string& input) {
  constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
  constexpr size_t kFixedOctets = 16;
  const std::string_view start(input);
  if (!start.starts_with(kSignature.substr(0, start.size()))) {
    return Header::kBad;
  }
  if (start.size() < kFixedOctets) return Header::kIncomplete;
  const size_t length = NumberAt(start, 14);
  if (start.size() < kFixedOctets + length) return Header::kIncomplete;
  const bool local = start[12] == 0x20;
  const size_t address = start[13] == 0x21 ? 16 : 4;
  if (!local) {
    const std::string_view rest = start.substr(kFixedOctets, length);
    auto& client = message_.client;
    client["ADDR"] = AddressText(rest.substr(0, address));
    client["DESTADDR"] = AddressText(rest.substr(address, address));
    client["PORT"] = std::to_string(NumberAt(rest, 2 * address));
    client["DESTPORT"] = std::to_string(NumberAt(rest, 2 * address + 2));
    client["TLS"] = length > 2 * address + 4 ? "yes" : "";
  }
  input.erase(0, kFixedOctets + length);
  return Header::kWhole;
}

}  // namespace tlspost
