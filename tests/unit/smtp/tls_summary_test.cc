// The log line, word for word as Postfix 3.7.11 wrote it (protocol.md 3).

#include "common/smtp/tls_summary.h"

#include <string>

#include "gtest/gtest.h"
#include "tests/unit/smtp/tls_descriptions.h"

namespace tlspost::smtp {
namespace {

TEST(TlsSummary, Tls13NamesKeyExchangeAndSignature) {
  EXPECT_EQ(
      FormatTlsLogLine(Tls13(), TlsLogDirection::kFrom, "localhost[127.0.0.1]"),
      "Anonymous TLS connection established from localhost[127.0.0.1]: "
      "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) "
      "key-exchange X25519 server-signature RSA-PSS (2048 bits) "
      "server-digest SHA256");
}

TEST(TlsSummary, Tls12SaysItAllInTheCipher) {
  TlsDescription tls = Tls13();
  tls.protocol = "TLSv1.2";
  tls.cipher = "ECDHE-RSA-AES256-GCM-SHA384";
  tls.client_signature = {"RSA", "", 2048, "SHA256"};
  EXPECT_EQ(
      FormatTlsLogLine(tls, TlsLogDirection::kFrom, "localhost[127.0.0.1]"),
      "Anonymous TLS connection established from localhost[127.0.0.1]: "
      "TLSv1.2 with cipher ECDHE-RSA-AES256-GCM-SHA384 (256/256 bits)");
}

TEST(TlsSummary, ReusedWithSniAndClientCertificate) {
  TlsDescription tls = Tls13();
  tls.reused = true;
  tls.sni = "mx.example.com";
  tls.peer_certificate = PeerCertificate::kTrusted;
  tls.key_exchange = "ECDHE";
  tls.key_exchange_group = "prime256v1";
  tls.server_signature = {"ECDSA", "prime256v1", 256, "SHA256"};
  tls.client_signature = {"RSA-PSS", "", 2048, "SHA256"};
  EXPECT_EQ(
      FormatTlsLogLine(tls, TlsLogDirection::kFrom, "unknown[2001:db8::1]"),
      "Trusted TLS connection reused from unknown[2001:db8::1] to "
      "mx.example.com: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 "
      "(256/256 bits) key-exchange ECDHE (prime256v1) server-signature "
      "ECDSA (prime256v1) server-digest SHA256 client-signature RSA-PSS "
      "(2048 bits) client-digest SHA256");
}

TEST(TlsSummary, AResumedSessionHasNoSignature) {
  TlsDescription tls = Tls13();
  tls.server_signature = {};
  const std::string cipher =
      "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)";
  EXPECT_EQ(FormatTlsSummary(tls), cipher + " key-exchange X25519");
  tls.key_exchange = "DHE";
  tls.key_exchange_bits = 2048;
  EXPECT_EQ(FormatTlsSummary(tls), cipher + " key-exchange DHE (2048 bits)");
  tls.key_exchange.clear();
  EXPECT_EQ(FormatTlsSummary(tls), cipher);
}

TEST(TlsSummary, ClausesStandBetweenWhatIsAskedFor) {
  TlsDescription tls = Tls13();
  tls.client_signature = {"RSA-PSS", "", 2048, "SHA256"};
  std::string text = "(";
  AppendTlsSummary(tls, "|", text);
  EXPECT_EQ(text,
            "(TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)|"
            "key-exchange X25519 server-signature RSA-PSS (2048 bits) "
            "server-digest SHA256|client-signature RSA-PSS (2048 bits) "
            "client-digest SHA256");
  tls.key_exchange.clear();
  tls.client_signature = {};
  text.clear();
  AppendTlsSummary(tls, "|", text);
  EXPECT_EQ(text,
            "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)|"
            "server-signature RSA-PSS (2048 bits) server-digest SHA256");
}

TEST(TlsSummary, SniIsAPeersText) {
  TlsDescription tls = Tls13();
  tls.sni = "a\nb c";
  EXPECT_NE(
      FormatTlsLogLine(tls, TlsLogDirection::kFrom, "p").find(" to a?b?c: "),
      std::string::npos);
}

TEST(TlsSummary, TrustWords) {
  EXPECT_EQ(TrustWord(PeerCertificate::kNotRequested), "Anonymous");
  EXPECT_EQ(TrustWord(PeerCertificate::kNotPresented), "Anonymous");
  EXPECT_EQ(TrustWord(PeerCertificate::kUntrusted), "Untrusted");
  EXPECT_EQ(TrustWord(PeerCertificate::kTrusted), "Trusted");
  EXPECT_EQ(TrustWord(PeerCertificate::kVerified), "Verified");
}

}  // namespace
}  // namespace tlspost::smtp
