#include "common/smtp/received.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/base/spare_string.h"
#include "common/smtp/text.h"
#include "common/smtp/tls_summary.h"

namespace tlspost::smtp {
namespace {

// RFC 5321 section 4.1.3: address literals.
void AppendAddressLiteral(std::string_view address, std::string& out) {
  const bool ipv6 = address.find(':') != std::string_view::npos;
  out.append(ipv6 ? "[IPv6:" : "[");
  AppendForDomain(address, out);
  out.append("]");
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
  out.append("\t(Client CN \"");
  AppendForHeader(tls.peer_cn, out);
  out.append("\", Issuer \"");
  AppendForHeader(tls.peer_issuer_cn, out);
  out.append(trusted ? "\" (verified OK))\r\n" : "\" (not verified))\r\n");
}

void AppendTlsClause(const TlsDescription& tls, std::string& out) {
  out.append("\t(using ");
  AppendTlsSummary(tls, "\r\n\t ", out);
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
  const std::string_view name =
      fields.client_name.empty() ? "unknown" : fields.client_name;
  std::string out = TakeSpareString();
  out.append("Received: from ");
  AppendForDomain(fields.helo.empty() ? name : fields.helo, out);
  out.append(" (");
  AppendForDomain(name, out);
  out.append(" ");
  AppendAddressLiteral(fields.client_address, out);
  out.append(")\r\n");
  const TlsDescription* tls = fields.tls;
  const bool gmail = fields.tls_format == TlsClauseFormat::kGmail;
  if (tls != nullptr && !gmail) AppendTlsClause(*tls, out);
  if (!fields.sasl_login.empty()) {
    out.append("\t(Authenticated sender: ");
    AppendForHeader(fields.sasl_login, out);
    out.append(")\r\n");
  }
  out.append("\tby ");
  AppendForDomain(fields.by, out);
  out.append(" (");
  AppendForHeader(fields.mail_name, out);
  out.append(") with ").append(fields.protocol).append(" id ");
  AppendForDomain(fields.id, out);
  const size_t clauses = out.size();
  if (Printable(fields.recipient)) {
    out.append("\r\n\tfor <").append(fields.recipient).append(">");
  }
  if (tls != nullptr && fields.tls_clause && !tls->iana_cipher.empty()) {
    out.append("\r\n\ttls ");
    AppendForDomain(tls->iana_cipher, out);
  }
  if (tls != nullptr && gmail) {
    out.append("\r\n\t").append(GmailComment(*tls));
  }
  // Postfix puts the date behind "for", and on a line of its own without it.
  out.append(out.size() == clauses ? ";\r\n\t" : "; ");
  return std::move(out.append(fields.date).append("\r\n"));
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
  std::string date = TakeSpareString();
  absl::StrAppendFormat(&date, "%s, %2d %s %d %02d:%02d:%02d %c%02d%02d (%s)",
                        kDays[local.tm_wday], local.tm_mday,
                        kMonths[local.tm_mon], local.tm_year + 1900,
                        local.tm_hour, local.tm_min, local.tm_sec,
                        local.tm_gmtoff < 0 ? '-' : '+', minutes / 60,
                        minutes % 60, local.tm_zone);
  return date;
}

}  // namespace tlspost::smtp
