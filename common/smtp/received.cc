#include "common/smtp/received.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/smtp/text.h"
#include "common/smtp/tls_summary.h"

namespace tlspost::smtp {
namespace {

std::string OrUnknown(std::string_view text) {
  return text.empty() ? "unknown" : SanitizeForDomain(text);
}

// RFC 5321 section 4.1.3: address literals.
std::string AddressLiteral(std::string_view address) {
  const bool ipv6 = address.find(':') != std::string_view::npos;
  std::string literal(ipv6 ? "[IPv6:" : "[");
  return literal.append(SanitizeForDomain(address)).append("]");
}

void AppendCertificateClause(const TlsDescription& tls, std::string& out) {
  switch (tls.peer_certificate) {
    case PeerCertificate::kNotRequested:
      out.append("\t(No client certificate requested)\r\n");
      return;
    case PeerCertificate::kNotPresented:
      out.append("\t(Client did not present a certificate)\r\n");
      return;
    case PeerCertificate::kUntrusted:
    case PeerCertificate::kTrusted:
    case PeerCertificate::kVerified:
      break;
  }
  const bool trusted = tls.peer_certificate != PeerCertificate::kUntrusted;
  out.append("\t(Client CN \"").append(SanitizeForHeader(tls.peer_cn));
  out.append("\", Issuer \"").append(SanitizeForHeader(tls.peer_issuer_cn));
  out.append(trusted ? "\" (verified OK))\r\n" : "\" (not verified))\r\n");
}

void AppendTlsClause(const TlsDescription& tls, std::string& out) {
  out.append("\t(using ").append(TlsCipherClause(tls));
  for (const std::string& clause :
       {TlsKeyExchangeClause(tls), TlsClientSignatureClause(tls)}) {
    if (!clause.empty()) out.append("\r\n\t ").append(clause);
  }
  out.append(")\r\n");
  AppendCertificateClause(tls, out);
}

// "(version=TLS1_3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256)"
std::string GmailComment(const TlsDescription& tls) {
  std::string version;
  for (const char c : tls.protocol) {  // "TLSv1.3"
    if (c == 'v') continue;
    version += c == '.' ? '_' : c;
  }
  return absl::StrFormat("(version=%s cipher=%s bits=%d/%d)", version,
                         tls.cipher, tls.used_bits, tls.algorithm_bits);
}

// Whether a recipient may stand in "for <...>" as it is. The clause is
// optional (RFC 5321 section 4.4): rather none than a changed address.
bool Printable(std::string_view recipient) {
  constexpr size_t kMaxRecipientOctets = 512;  // twice RFC 5321's path
  return !recipient.empty() && recipient.size() <= kMaxRecipientOctets &&
         std::all_of(recipient.begin(), recipient.end(), [](char c) {
           constexpr std::string_view kNo = "()<>\"\\;";
           return c > ' ' && c <= '~' && kNo.find(c) == std::string_view::npos;
         });
}

}  // namespace

std::string FormatReceived(const ReceivedFields& fields) {
  const std::string name = OrUnknown(fields.client_name);
  std::string out("Received: from ");
  out.append(fields.helo.empty() ? name : SanitizeForDomain(fields.helo));
  out.append(" (").append(name).append(" ");
  out.append(AddressLiteral(fields.client_address)).append(")\r\n");
  const TlsDescription* tls = fields.tls;
  const bool gmail = fields.tls_format == TlsClauseFormat::kGmail;
  if (tls != nullptr && !gmail) AppendTlsClause(*tls, out);
  if (!fields.sasl_login.empty()) {
    out.append("\t(Authenticated sender: ");
    out.append(SanitizeForHeader(fields.sasl_login)).append(")\r\n");
  }
  out.append("\tby ").append(SanitizeForDomain(fields.by));
  out.append(" (").append(SanitizeForHeader(fields.mail_name));
  out.append(") with ").append(fields.protocol);
  out.append(" id ").append(SanitizeForDomain(fields.id));
  const bool one_recipient = Printable(fields.recipient);
  std::string clauses;
  if (one_recipient)
    clauses.append("\r\n\tfor <").append(fields.recipient).append(">");
  if (tls != nullptr && fields.tls_clause && !tls->iana_cipher.empty()) {
    clauses.append("\r\n\ttls ").append(SanitizeForDomain(tls->iana_cipher));
  }
  if (tls != nullptr && gmail) {
    clauses.append("\r\n\t").append(GmailComment(*tls));
  }
  out.append(clauses);
  // Postfix puts the date behind "for", and on a line of its own without it.
  out.append(clauses.empty() ? ";\r\n\t" : "; ");
  return out.append(fields.date).append("\r\n");
}

std::string_view ProtocolName(bool esmtp, bool tls, bool authenticated,
                              bool smtputf8) {
  // A HELO client's stays SMTP under TLS too: RFC 3848 has no "SMTPS".
  if (!esmtp) return "SMTP";
  if (smtputf8) {
    if (tls) return authenticated ? "UTF8SMTPSA" : "UTF8SMTPS";
    return authenticated ? "UTF8SMTPA" : "UTF8SMTP";
  }
  if (tls) return authenticated ? "ESMTPSA" : "ESMTPS";
  return authenticated ? "ESMTPA" : "ESMTP";
}

std::string FormatRfc5322Date(time_t utc_seconds) {
  // RFC 5322 section 3.3 has English names, whatever the locale.
  constexpr std::array kDays = {"Sun", "Mon", "Tue", "Wed",
                                "Thu", "Fri", "Sat"};
  constexpr std::array kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  struct tm local;
  TLSPOST_CHECK(localtime_r(&utc_seconds, &local) != nullptr);
  const long minutes = std::labs(local.tm_gmtoff) / 60;
  return absl::StrFormat(
      "%s, %2d %s %d %02d:%02d:%02d %c%02d%02d (%s)", kDays[local.tm_wday],
      local.tm_mday, kMonths[local.tm_mon], local.tm_year + 1900, local.tm_hour,
      local.tm_min, local.tm_sec, local.tm_gmtoff < 0 ? '-' : '+', minutes / 60,
      minutes % 60, local.tm_zone);
}

}  // namespace tlspost::smtp
