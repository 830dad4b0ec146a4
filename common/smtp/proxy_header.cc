// The layout of the PROXY protocol's specification, sections 2.2 to 2.2.6.

#include "common/smtp/proxy_header.h"

#include <cstdint>
#include <string_view>

#include "common/base/check.h"

namespace tlspost::smtp {
namespace {

constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);

constexpr char kVersionAndLocal = 0x20;
constexpr char kVersionAndProxy = 0x21;
constexpr char kUnspecified = 0x00;
constexpr char kTcpOverIpv4 = 0x11;
constexpr char kTcpOverIpv6 = 0x21;

enum class Tlv : uint8_t {
  kAuthority = 0x02,
  kSsl = 0x20,
  kSslVersion = 0x21,
  kSslCommonName = 0x22,
  kSslCipher = 0x23,
  kSslSignature = 0x24,
  kSslKey = 0x25,
};

// Bits of PP2_TYPE_SSL's first octet.
constexpr uint8_t kClientSsl = 0x01;
constexpr uint8_t kClientCertConnection = 0x02;
constexpr uint8_t kClientCertSession = 0x04;

void AppendNumber(uint16_t number, std::string& bytes) {
  bytes += static_cast<char>(number >> 8);
  bytes += static_cast<char>(number & 0xff);
}

void AppendTlv(Tlv type, std::string_view value, std::string& bytes) {
  TLSPOST_CHECK(value.size() <= 0xffff);
  bytes += static_cast<char>(type);
  AppendNumber(static_cast<uint16_t>(value.size()), bytes);
  bytes += value;
}

// Left out when nothing is known.
void AppendText(Tlv type, std::string_view text, std::string& bytes) {
  if (text.empty()) return;
  AppendTlv(type, text.substr(0, kMaxProxyHeaderText), bytes);
}

constexpr size_t kIpv4Octets = 4;
constexpr size_t kIpv6Octets = 16;

void AppendAddress(std::string_view address, bool as_ipv6, std::string& bytes) {
  constexpr std::string_view kMapped("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
  if (as_ipv6 && address.size() == kIpv4Octets) bytes += kMapped;
  bytes += address;
}

// --- TLS --------------------------------------------------------------------

// HAProxy's names, which receivers compare with.
std::string KeyName(const TlsSignature& signature) {
  if (signature.algorithm.starts_with("RSA")) {
    return signature.bits > 0 ? "RSA" + std::to_string(signature.bits) : "";
  }
  if (signature.curve == "prime256v1") return "EC256";
  if (signature.curve == "secp384r1") return "EC384";
  if (signature.curve == "secp521r1") return "EC521";
  return signature.curve.empty() ? signature.algorithm : signature.curve;
}

std::string SslValue(const TlsDescription& tls) {
  const bool verified = tls.peer_certificate == PeerCertificate::kTrusted ||
                        tls.peer_certificate == PeerCertificate::kVerified;
  const bool has_certificate =
      verified || tls.peer_certificate == PeerCertificate::kUntrusted;
  uint8_t client = kClientSsl;
  if (has_certificate) client |= kClientCertSession;
  // A resumed connection did not show it again.
  if (has_certificate && !tls.reused) client |= kClientCertConnection;
  std::string value(1, static_cast<char>(client));
  AppendNumber(0, value);
  AppendNumber(verified ? 0 : 1, value);
  AppendText(Tlv::kSslVersion, tls.protocol, value);
  if (has_certificate) AppendText(Tlv::kSslCommonName, tls.peer_cn, value);
  AppendText(Tlv::kSslCipher, tls.cipher, value);
  AppendText(Tlv::kSslSignature, tls.server_signature.digest, value);
  AppendText(Tlv::kSslKey, KeyName(tls.server_signature), value);
  return value;
}

std::string Assemble(char command, char family, std::string_view rest) {
  std::string header(kSignature);
  header += command;
  header += family;
  TLSPOST_CHECK(rest.size() <= 0xffff);
  AppendNumber(static_cast<uint16_t>(rest.size()), header);
  return header.append(rest);
}

}  // namespace

std::string EncodeProxyHeader(const ProxyEndpoint& client,
                              const ProxyEndpoint& server,
                              const TlsDescription* tls) {
  for (const ProxyEndpoint* end : {&client, &server}) {
    TLSPOST_REQUIRE(end->address.size() == kIpv4Octets ||
                    end->address.size() == kIpv6Octets);
  }
  const bool ipv6 = client.address.size() == kIpv6Octets ||
                    server.address.size() == kIpv6Octets;
  std::string rest;
  AppendAddress(client.address, ipv6, rest);
  AppendAddress(server.address, ipv6, rest);
  AppendNumber(client.port, rest);
  AppendNumber(server.port, rest);
  if (tls != nullptr) {
    AppendText(Tlv::kAuthority, tls->sni, rest);
    AppendTlv(Tlv::kSsl, SslValue(*tls), rest);
  }
  return Assemble(kVersionAndProxy, ipv6 ? kTcpOverIpv6 : kTcpOverIpv4, rest);
}

std::string EncodeLocalProxyHeader() {
  return Assemble(kVersionAndLocal, kUnspecified, {});
}

}  // namespace tlspost::smtp
