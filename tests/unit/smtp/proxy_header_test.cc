// The PROXY header, octet by octet, as its specification lays it out.

#include "common/smtp/proxy_header.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "gtest/gtest.h"

namespace tlspost::smtp {
namespace {

constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);

const ProxyEndpoint kClient{std::string("\xc0\x00\x02\x01", 4), 0x1234};
const ProxyEndpoint kServer{std::string("\xc6\x33\x64\x02", 4), 25};

TlsDescription SomeTls() {
  TlsDescription tls;
  tls.protocol = "TLSv1.3";
  tls.cipher = "TLS_AES_256_GCM_SHA384";
  tls.sni = "mx.example";
  tls.server_signature = {"RSA-PSS", "", 2048, "SHA256"};
  return tls;
}

size_t NumberAt(std::string_view bytes, size_t at) {
  return size_t{static_cast<uint8_t>(bytes[at])} << 8 |
         static_cast<uint8_t>(bytes[at + 1]);
}

// By type; every octet belongs to one.
std::map<int, std::string> ReadTlvs(std::string_view bytes) {
  std::map<int, std::string> found;
  while (!bytes.empty()) {
    const size_t length = bytes.size() < 3 ? 0xffff : NumberAt(bytes, 1);
    if (bytes.size() < 3 + length) {
      ADD_FAILURE() << "a TLV is cut short";
      return found;
    }
    const int type = static_cast<uint8_t>(bytes[0]);
    EXPECT_TRUE(found.emplace(type, bytes.substr(3, length)).second);
    bytes.remove_prefix(3 + length);
  }
  return found;
}

TEST(ProxyHeader, Ipv4InPlaintextIsTwelveOctetsOfAddresses) {
  const std::string expected =
      std::string(kSignature) +
      std::string("\x21\x11\x00\x0c", 4) +  // PROXY, TCPv4
      std::string("\xc0\x00\x02\x01", 4) +  // 192.0.2.1
      std::string("\xc6\x33\x64\x02", 4) +  // 198.51.100.2
      std::string("\x12\x34\x00\x19", 4);   // ports
  EXPECT_EQ(EncodeProxyHeader(kClient, kServer, nullptr), expected);
}

TEST(ProxyHeader, Ipv6HasLongAddressesAndMapsTheOtherOne) {
  const ProxyEndpoint client{
      std::string("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16), 0x1234};
  const std::string header = EncodeProxyHeader(client, kServer, nullptr);
  ASSERT_EQ(header.size(), 16u + 36u);
  EXPECT_EQ(header.substr(12, 4), std::string("\x21\x21\x00\x24", 4));
  EXPECT_EQ(header.substr(16, 4), std::string("\x20\x01\x0d\xb8", 4));
  EXPECT_EQ(header.substr(32 + 10, 6),
            std::string("\xff\xff\xc6\x33\x64\x02", 6));
  EXPECT_EQ(header.substr(48, 4), std::string("\x12\x34\x00\x19", 4));
}

TEST(ProxyHeader, LocalNamesNobody) {
  EXPECT_EQ(EncodeLocalProxyHeader(),
            std::string(kSignature) + std::string("\x20\x00\x00\x00", 4));
}

TEST(ProxyHeader, TlsGoesIntoItsTlvs) {
  const TlsDescription tls = SomeTls();
  const std::string header = EncodeProxyHeader(kClient, kServer, &tls);
  EXPECT_EQ(NumberAt(header, 14), header.size() - 16);
  const auto tlvs = ReadTlvs(std::string_view(header).substr(28));
  ASSERT_EQ(tlvs.size(), 2u);
  EXPECT_EQ(tlvs.at(0x02), "mx.example");
  const std::string_view ssl = tlvs.at(0x20);
  // Under TLS, without a certificate; and what is not there is not verified.
  EXPECT_EQ(ssl.substr(0, 5), std::string("\x01\x00\x00\x00\x01", 5));
  const std::map<int, std::string> expected = {{0x21, "TLSv1.3"},
                                               {0x23, "TLS_AES_256_GCM_SHA384"},
                                               {0x24, "SHA256"},
                                               {0x25, "RSA2048"}};
  EXPECT_EQ(ReadTlvs(ssl.substr(5)), expected);
}

TEST(ProxyHeader, AClientCertificateIsVerifiedOnlyWhenItIsTrusted) {
  struct Case {
    PeerCertificate certificate;
    bool reused;
    std::string_view bits;
    bool has_name;
  };
  const Case cases[] = {
      {PeerCertificate::kNotPresented,
       false,
       {"\x01\x00\x00\x00\x01", 5},
       false},
      {PeerCertificate::kUntrusted, false, {"\x07\x00\x00\x00\x01", 5}, true},
      {PeerCertificate::kTrusted, false, {"\x07\x00\x00\x00\x00", 5}, true},
      {PeerCertificate::kVerified, true, {"\x05\x00\x00\x00\x00", 5}, true},
  };
  for (const Case& each : cases) {
    TlsDescription tls = SomeTls();
    tls.peer_certificate = each.certificate;
    tls.reused = each.reused;
    tls.peer_cn = "client.example";
    const std::string header = EncodeProxyHeader(kClient, kServer, &tls);
    const auto tlvs = ReadTlvs(std::string_view(header).substr(28));
    const std::string_view ssl = tlvs.at(0x20);
    EXPECT_EQ(ssl.substr(0, 5), each.bits);
    const auto inner = ReadTlvs(ssl.substr(5));
    EXPECT_EQ(inner.count(0x22) > 0, each.has_name);
  }
}

TEST(ProxyHeader, KeysAreCalledAsHaproxyCallsThem) {
  const std::pair<TlsSignature, std::string_view> cases[] = {
      {{"RSA-PSS", "", 4096, "SHA256"}, "RSA4096"},
      {{"ECDSA", "prime256v1", 0, "SHA256"}, "EC256"},
      {{"ECDSA", "secp384r1", 0, "SHA384"}, "EC384"},
      {{"ED25519", "", 0, ""}, "ED25519"},
      {{"", "", 0, ""}, ""},
  };
  for (const auto& [signature, name] : cases) {
    TlsDescription tls = SomeTls();
    tls.server_signature = signature;
    const std::string header = EncodeProxyHeader(kClient, kServer, &tls);
    const auto tlvs = ReadTlvs(std::string_view(header).substr(28));
    const auto inner = ReadTlvs(std::string_view(tlvs.at(0x20)).substr(5));
    EXPECT_EQ(inner.count(0x25), name.empty() ? 0u : 1u);
    if (!name.empty()) {
      EXPECT_EQ(inner.at(0x25), name);
    }
  }
}

// A client chooses the names in its certificate.
TEST(ProxyHeader, NamesAreCut) {
  TlsDescription tls = SomeTls();
  tls.peer_certificate = PeerCertificate::kUntrusted;
  tls.peer_cn = std::string(100000, 'x');
  tls.sni = std::string(100000, 'y');
  const std::string header = EncodeProxyHeader(kClient, kServer, &tls);
  EXPECT_LT(header.size(), 1000u);
  const auto tlvs = ReadTlvs(std::string_view(header).substr(28));
  EXPECT_EQ(tlvs.at(0x02), std::string(kMaxProxyHeaderText, 'y'));
}

}  // namespace
}  // namespace tlspost::smtp
