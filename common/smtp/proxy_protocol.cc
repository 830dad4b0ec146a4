// Version 1 is a line, version 2 a binary block with a length.

#include "common/smtp/proxy_protocol.h"

#include <array>
#include <charconv>
#include <optional>

#include "absl/strings/str_format.h"

namespace tlspost::smtp {
namespace {

using State = ProxyDecoding::State;

constexpr std::string_view kV1Prefix = "PROXY ";
constexpr std::string_view kV2Signature("\r\n\r\n\0\r\nQUIT\n", 12);

ProxyDecoding NeedMore() { return {}; }

ProxyDecoding Malformed(std::string_view fault) {
  ProxyDecoding decoding;
  decoding.state = State::kMalformed;
  decoding.fault = fault;
  return decoding;
}

// --- version 1 ------------------------------------------------------------

// Takes the words of a line one by one; they are parted by one blank each.
class Words {
 public:
  explicit Words(std::string_view line) : rest_(line) {}

  std::string_view Next() {
    const size_t end = rest_.find(' ');
    const std::string_view word = rest_.substr(0, end);
    at_end_ = end == std::string_view::npos;
    rest_.remove_prefix(at_end_ ? rest_.size() : end + 1);
    return word;
  }
  bool at_end() const { return at_end_; }

 private:
  std::string_view rest_;
  bool at_end_ = false;
};

// Whether `word` could be an address of that kind; who believes the header
// reads it as one.
bool LooksLikeAddress(std::string_view word, bool is_v4) {
  constexpr std::string_view kV4 = "0123456789.";
  constexpr std::string_view kV6 = "0123456789abcdefABCDEF:.";
  const bool has_colon = word.find(':') != std::string_view::npos;
  return !word.empty() && has_colon != is_v4 &&
         word.find_first_not_of(is_v4 ? kV4 : kV6) == std::string_view::npos;
}

std::optional<uint16_t> ReadPort(std::string_view word) {
  uint16_t port = 0;
  const char* end = word.data() + word.size();
  const auto [rest, error] = std::from_chars(word.data(), end, port);
  const bool padded = word.size() > 1 && word.front() == '0';
  if (error != std::errc() || rest != end || padded) return std::nullopt;
  return port;
}

ProxyDecoding DecodeV1Words(std::string_view line) {
  ProxyDecoding decoding;
  decoding.state = State::kHeader;
  Words words(line);
  const std::string_view protocol = words.Next();
  // What follows UNKNOWN means nothing.
  if (protocol == "UNKNOWN") return decoding;
  const bool is_v4 = protocol == "TCP4";
  if (!is_v4 && protocol != "TCP6") return Malformed("unknown protocol");
  const std::string_view source = words.Next();
  const std::string_view destination = words.Next();
  if (!LooksLikeAddress(source, is_v4) ||
      !LooksLikeAddress(destination, is_v4)) {
    return Malformed("bad address");
  }
  const auto source_port = ReadPort(words.Next());
  const auto destination_port = ReadPort(words.Next());
  if (!source_port || !destination_port) return Malformed("bad port");
  if (!words.at_end()) return Malformed("words behind the ports");
  decoding.header.source_address = source;
  decoding.header.source_port = *source_port;
  decoding.header.destination_address = destination;
  decoding.header.destination_port = *destination_port;
  return decoding;
}

ProxyDecoding DecodeV1(std::string_view bytes) {
  const std::string_view line = bytes.substr(0, kMaxProxyV1Octets);
  const size_t end = line.find('\n');
  if (end == std::string_view::npos) {
    if (bytes.size() < kMaxProxyV1Octets) return NeedMore();
    return Malformed("the line is longer than 107 octets");
  }
  if (line[end - 1] != '\r') return Malformed("the line ends without CR");
  ProxyDecoding decoding =
      DecodeV1Words(line.substr(kV1Prefix.size(), end - 1 - kV1Prefix.size()));
  decoding.octets = end + 1;
  return decoding;
}

// --- version 2 ------------------------------------------------------------

uint8_t OctetAt(std::string_view bytes, size_t index) {
  return static_cast<uint8_t>(bytes[index]);
}

uint16_t Uint16At(std::string_view bytes, size_t index) {
  return static_cast<uint16_t>(OctetAt(bytes, index) << 8 |
                               OctetAt(bytes, index + 1));
}

uint32_t Uint32At(std::string_view bytes, size_t index) {
  return uint32_t{Uint16At(bytes, index)} << 16 | Uint16At(bytes, index + 2);
}

// The table of RFC 3309's CRC32C, its polynomial reflected.
constexpr std::array<uint32_t, 256> MakeCrcTable() {
  constexpr uint32_t kPolynomial = 0x82f63b78;
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < table.size(); ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc & 1) != 0 ? crc >> 1 ^ kPolynomial : crc >> 1;
    }
    table[i] = crc;
  }
  return table;
}

// CRC32C of a header in which the four octets at `hole` count as zero.
uint32_t Crc32cWithHole(std::string_view header, size_t hole) {
  static constexpr std::array<uint32_t, 256> kTable = MakeCrcTable();
  uint32_t crc = 0xffffffff;
  for (size_t i = 0; i < header.size(); ++i) {
    const bool is_hole = i >= hole && i < hole + 4;
    const uint8_t octet = is_hole ? 0 : OctetAt(header, i);
    crc = crc >> 8 ^ kTable[(crc ^ octet) & 0xff];
  }
  return ~crc;
}

// Section 2.2.7 has the types; all but the checksum are passed over. What is
// wrong with them, or nothing.
std::string_view FindTlvFault(std::string_view header, size_t begin) {
  constexpr uint8_t kTypeCrc32c = 0x03;
  constexpr size_t kTlvHead = 3;
  size_t at = begin;
  while (at < header.size()) {
    if (header.size() - at < kTlvHead) return "a TLV is cut short";
    const uint8_t type = OctetAt(header, at);
    const size_t length = Uint16At(header, at + 1);
    at += kTlvHead;
    if (header.size() - at < length) return "a TLV is cut short";
    if (type == kTypeCrc32c) {
      if (length != 4) return "bad length of the checksum";
      if (Uint32At(header, at) != Crc32cWithHole(header, at)) {
        return "wrong checksum";
      }
    }
    at += length;
  }
  return {};
}

enum class Family : uint8_t { kUnspecified, kInet, kInet6, kUnix };

// Section 2.2: family and transport in one octet. Only streams: SMTP has no
// datagrams.
std::optional<Family> FamilyOf(uint8_t family_and_transport) {
  switch (family_and_transport) {
    case 0x00:
      return Family::kUnspecified;
    case 0x11:
      return Family::kInet;
    case 0x21:
      return Family::kInet6;
    case 0x31:
      return Family::kUnix;
    default:
      return std::nullopt;
  }
}

// The octets of a family's addresses and ports.
size_t OctetsOf(Family family) {
  constexpr std::array<size_t, 4> kOctets = {0, 12, 36, 216};
  return kOctets[static_cast<size_t>(family)];
}

std::string AddressText(std::string_view octets) {
  std::string text;
  for (size_t i = 0; i < octets.size(); ++i) {
    if (octets.size() == 4) {
      absl::StrAppendFormat(&text, "%s%d", i > 0 ? "." : "",
                            OctetAt(octets, i));
    } else if (i % 2 == 0) {
      absl::StrAppendFormat(&text, "%s%x", i > 0 ? ":" : "",
                            Uint16At(octets, i));
    }
  }
  return text;
}

void ReadAddresses(std::string_view block, Family family, ProxyHeader& header) {
  const size_t size = family == Family::kInet ? 4 : 16;
  header.source_address = AddressText(block.substr(0, size));
  header.destination_address = AddressText(block.substr(size, size));
  header.source_port = Uint16At(block, 2 * size);
  header.destination_port = Uint16At(block, 2 * size + 2);
}

ProxyDecoding DecodeV2Block(std::string_view header) {
  ProxyDecoding decoding;
  decoding.state = State::kHeader;
  decoding.octets = header.size();
  constexpr uint8_t kLocal = 0x20;
  constexpr uint8_t kProxy = 0x21;
  const uint8_t version_and_command = OctetAt(header, 12);
  if (version_and_command == kLocal) {
    // Section 2.2: all the rest is to be passed over, the family too.
    decoding.header.local = true;
    return decoding;
  }
  if (version_and_command != kProxy) return Malformed("unknown command");
  const std::optional<Family> family = FamilyOf(OctetAt(header, 13));
  if (!family.has_value()) return Malformed("unknown family or transport");
  const std::string_view block = header.substr(kProxyV2FixedOctets);
  if (block.size() < OctetsOf(*family)) return Malformed("addresses cut short");
  // Without a family nobody knows where addresses end and TLVs begin.
  if (*family == Family::kUnspecified) return decoding;
  const std::string_view fault =
      FindTlvFault(header, kProxyV2FixedOctets + OctetsOf(*family));
  if (!fault.empty()) return Malformed(fault);
  if (*family != Family::kUnix) ReadAddresses(block, *family, decoding.header);
  return decoding;
}

ProxyDecoding DecodeV2(std::string_view bytes) {
  if (bytes.size() < kProxyV2FixedOctets) return NeedMore();
  constexpr uint8_t kVersionMask = 0xf0;
  constexpr uint8_t kVersion2 = 0x20;
  if ((OctetAt(bytes, 12) & kVersionMask) != kVersion2) {
    return Malformed("unknown version");
  }
  const size_t octets = kProxyV2FixedOctets + Uint16At(bytes, 14);
  if (octets > kMaxProxyV2Octets) {
    return Malformed("the header is longer than 16 KiB");
  }
  if (bytes.size() < octets) return NeedMore();
  return DecodeV2Block(bytes.substr(0, octets));
}

// Whether `bytes` are, or may become, something that begins with `prefix`.
bool BeginsLike(std::string_view bytes, std::string_view prefix) {
  return bytes.substr(0, prefix.size()) == prefix.substr(0, bytes.size());
}

}  // namespace

ProxyDecoding DecodeProxyHeader(std::string_view bytes) {
  if (BeginsLike(bytes, kV1Prefix)) {
    return bytes.size() < kV1Prefix.size() ? NeedMore() : DecodeV1(bytes);
  }
  if (BeginsLike(bytes, kV2Signature)) return DecodeV2(bytes);
  ProxyDecoding decoding;
  decoding.state = State::kNoHeader;
  return decoding;
}

}  // namespace tlspost::smtp
