// The Received header, octet for octet as in protocol.md appendix C.

#include "common/smtp/received.h"

#include <cstdlib>
#include <string>

#include "gtest/gtest.h"
#include "tests/unit/smtp/tls_descriptions.h"

namespace tlspost::smtp {
namespace {

ReceivedFields SomeFields() {
  ReceivedFields fields;
  fields.helo = "client.example";
  fields.client_name = "mail.client.example";
  fields.client_address = "192.0.2.1";
  fields.by = "mx.example";
  fields.protocol = "ESMTPS";
  fields.id = "abc-1";
  fields.recipient = "user@mx.example";
  fields.date = "Sun, 22 Nov 2026 17:35:19 +0000 (UTC)";
  return fields;
}

TEST(Received, PostfixLayoutWithTls13) {
  const TlsDescription tls = Tls13();
  ReceivedFields fields = SomeFields();
  fields.tls = &tls;
  EXPECT_EQ(FormatReceived(fields),
            "Received: from client.example (mail.client.example "
            "[192.0.2.1])\r\n"
            "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 "
            "(256/256 bits)\r\n"
            "\t key-exchange X25519 server-signature RSA-PSS (2048 bits) "
            "server-digest SHA256)\r\n"
            "\t(No client certificate requested)\r\n"
            "\tby mx.example (tlspost) with ESMTPS id abc-1\r\n"
            "\tfor <user@mx.example>; Sun, 22 Nov 2026 17:35:19 +0000 "
            "(UTC)\r\n");
}

TEST(Received, Tls12HasNoKeyExchangeLine) {
  TlsDescription tls = Tls13();
  tls.protocol = "TLSv1.2";
  tls.cipher = "ECDHE-RSA-AES256-GCM-SHA384";
  tls.peer_certificate = PeerCertificate::kNotPresented;
  ReceivedFields fields = SomeFields();
  fields.tls = &tls;
  EXPECT_NE(FormatReceived(fields).find(
                "\t(using TLSv1.2 with cipher ECDHE-RSA-AES256-GCM-SHA384 "
                "(256/256 bits))\r\n\t(Client did not present a "
                "certificate)\r\n\tby "),
            std::string::npos);
}

TEST(Received, PlaintextManyRecipientsUnknownIpv6) {
  ReceivedFields fields = SomeFields();
  fields.helo = "";
  fields.client_name = "";
  fields.client_address = "2001:db8::3";
  fields.protocol = "ESMTP";
  fields.recipient = "";
  EXPECT_EQ(FormatReceived(fields),
            "Received: from unknown (unknown [IPv6:2001:db8::3])\r\n"
            "\tby mx.example (tlspost) with ESMTP id abc-1;\r\n"
            "\tSun, 22 Nov 2026 17:35:19 +0000 (UTC)\r\n");
}

TEST(Received, ClientCertificateAndLogin) {
  TlsDescription tls = Tls13();
  tls.peer_certificate = PeerCertificate::kVerified;
  tls.peer_cn = "cl\"ient) (x\r\nEvil: 1";
  tls.peer_issuer_cn = "CA (test)";
  tls.client_signature = {"ECDSA", "prime256v1", 0, "SHA256"};
  ReceivedFields fields = SomeFields();
  fields.tls = &tls;
  fields.sasl_login = "user (x)";
  const std::string header = FormatReceived(fields);
  EXPECT_NE(header.find("server-digest SHA256\r\n\t client-signature ECDSA "
                        "(prime256v1) client-digest SHA256)\r\n"
                        "\t(Client CN \"cl?ient? ?x??Evil: 1\", Issuer "
                        "\"CA ?test?\" (verified OK))\r\n"
                        "\t(Authenticated sender: user ?x?)\r\n"),
            std::string::npos)
      << header;
  tls.peer_certificate = PeerCertificate::kUntrusted;
  EXPECT_NE(FormatReceived(fields).find("(not verified))\r\n"),
            std::string::npos);
}

// Whatever a client says: each line is a continuation, none is too long, no
// comment stays open.
TEST(Received, Rfc5322_2_1_1_HostileTextStaysInItsPlace) {
  std::string all;
  for (int octet = 0; octet < 256; ++octet) all += static_cast<char>(octet);
  for (const std::string& text :
       {all, std::string(3000, 'a'), std::string("a) x; (b\r\nEvil: 1")}) {
    TlsDescription tls = Tls13();
    tls.peer_certificate = PeerCertificate::kTrusted;
    tls.peer_cn = tls.peer_issuer_cn = text;
    ReceivedFields fields = SomeFields();
    fields.helo = fields.client_name = fields.sasl_login = text;
    fields.recipient = fields.id = text;
    fields.tls = &tls;
    const std::string header = FormatReceived(fields);
    int depth = 0;
    size_t line_start = 0;
    for (size_t i = 0; i < header.size(); ++i) {
      depth += header[i] == '(' ? 1 : header[i] == ')' ? -1 : 0;
      ASSERT_GE(depth, 0);
      const unsigned char octet = static_cast<unsigned char>(header[i]);
      ASSERT_TRUE((octet >= ' ' && octet < 127) || octet == '\t' ||
                  octet == '\r' || octet == '\n');
      if (header[i] != '\n') continue;
      ASSERT_EQ(header[i - 1], '\r');
      ASSERT_LE(i - 1 - line_start, kMaxHeaderLineOctets);
      line_start = i + 1;
      if (line_start < header.size()) {
        ASSERT_EQ(header[line_start], '\t');
      }
    }
    EXPECT_EQ(depth, 0);
    EXPECT_EQ(line_start, header.size());
    EXPECT_EQ(header.find("for <"), std::string::npos);
  }
}

TEST(Received, Rfc3848AndRfc6531_4_3_ProtocolNames) {
  EXPECT_EQ(ProtocolName(false, true, true, true), "SMTP");  // edge 4
  EXPECT_EQ(ProtocolName(true, false, false, false), "ESMTP");
  EXPECT_EQ(ProtocolName(true, true, false, false), "ESMTPS");
  EXPECT_EQ(ProtocolName(true, false, true, false), "ESMTPA");
  EXPECT_EQ(ProtocolName(true, true, true, false), "ESMTPSA");
  EXPECT_EQ(ProtocolName(true, false, false, true), "UTF8SMTP");
  EXPECT_EQ(ProtocolName(true, true, false, true), "UTF8SMTPS");
  EXPECT_EQ(ProtocolName(true, false, true, true), "UTF8SMTPA");
  EXPECT_EQ(ProtocolName(true, true, true, true), "UTF8SMTPSA");
}

// Sets TZ for one test.
class Zone {
 public:
  explicit Zone(const char* name) {
    const char* old = getenv("TZ");
    if (old != nullptr) old_ = old;
    setenv("TZ", name, 1);
    tzset();
  }
  ~Zone() {
    if (old_.empty()) {
      unsetenv("TZ");
    } else {
      setenv("TZ", old_.c_str(), 1);
    }
    tzset();
  }

 private:
  std::string old_;
};

TEST(Received, Rfc5322_3_3_Date) {
  constexpr time_t kMoment = 1795368919;  // 2026-11-22 17:35:19 UTC
  {
    const Zone zone("UTC0");
    EXPECT_EQ(FormatRfc5322Date(kMoment),
              "Sun, 22 Nov 2026 17:35:19 +0000 (UTC)");
    EXPECT_EQ(FormatRfc5322Date(0), "Thu,  1 Jan 1970 00:00:00 +0000 (UTC)");
  }
  {
    const Zone zone("IST-5:30");
    EXPECT_EQ(FormatRfc5322Date(kMoment),
              "Sun, 22 Nov 2026 23:05:19 +0530 (IST)");
  }
  {
    const Zone zone("NST3:30");
    EXPECT_EQ(FormatRfc5322Date(kMoment),
              "Sun, 22 Nov 2026 14:05:19 -0330 (NST)");
  }
}

// --- other layouts ----------------------------------------------------------

TEST(Received, GmailsCommentStandsBeforeTheDate) {
  TlsDescription tls = Tls13();
  ReceivedFields fields = SomeFields();
  fields.tls = &tls;
  fields.tls_format = TlsClauseFormat::kGmail;
  EXPECT_EQ(FormatReceived(fields),
            "Received: from client.example (mail.client.example [192.0.2.1])"
            "\r\n\tby mx.example (tlspost) with ESMTPS id abc-1"
            "\r\n\tfor <user@mx.example>"
            "\r\n\t(version=TLS1_3 cipher=TLS_AES_256_GCM_SHA384 "
            "bits=256/256); Sun, 22 Nov 2026 17:35:19 +0000 (UTC)\r\n");
  tls.protocol = "TLSv1.2";
  tls.cipher = "ECDHE-ECDSA-AES128-GCM-SHA256";
  tls.used_bits = tls.algorithm_bits = 128;
  fields.recipient = "";
  EXPECT_EQ(FormatReceived(fields),
            "Received: from client.example (mail.client.example [192.0.2.1])"
            "\r\n\tby mx.example (tlspost) with ESMTPS id abc-1"
            "\r\n\t(version=TLS1_2 cipher=ECDHE-ECDSA-AES128-GCM-SHA256 "
            "bits=128/128); Sun, 22 Nov 2026 17:35:19 +0000 (UTC)\r\n");
  tls.protocol = "TLSv1";
  EXPECT_NE(FormatReceived(fields).find("(version=TLS1 "), std::string::npos);
}

TEST(Received, TheTlsClauseStandsBehindFor) {
  TlsDescription tls = Tls13();
  tls.iana_cipher = "TLS_AES_256_GCM_SHA384";
  ReceivedFields fields = SomeFields();
  fields.tls = &tls;
  fields.tls_clause = true;
  EXPECT_NE(
      FormatReceived(fields).find(" id abc-1\r\n\tfor <user@mx.example>"
                                  "\r\n\ttls TLS_AES_256_GCM_SHA384; Sun,"),
      std::string::npos);
  fields.recipient = "";
  EXPECT_NE(FormatReceived(fields).find(
                " id abc-1\r\n\ttls TLS_AES_256_GCM_SHA384; Sun,"),
            std::string::npos);
  fields.tls = nullptr;
  EXPECT_EQ(FormatReceived(fields).find("tls TLS"), std::string::npos);
}

}  // namespace
}  // namespace tlspost::smtp
