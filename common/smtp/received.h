// The Received header, which is what this proxy is for: who sent a message,
// and under which TLS protocol and cipher, in Postfix's layout.
//
// Every text that a peer chose is sanitised here, whatever was checked before,
// so that no client can write a header or end a comment. Reads no clock.

#ifndef TLSPOST_COMMON_SMTP_RECEIVED_H_
#define TLSPOST_COMMON_SMTP_RECEIVED_H_

#include <ctime>
#include <string>
#include <string_view>

#include "common/base/tls_description.h"

namespace tlspost::smtp {

// RFC 5322 section 2.1.1: no line is longer, CRLF not counted.
inline constexpr size_t kMaxHeaderLineOctets = 998;

// How the header tells TLS: in Postfix's clauses behind "from", or in one
// comment before the date, "(version=TLS1_3 cipher=... bits=256/256)".
enum class TlsClauseFormat { kPostfix, kGmail };

// All views need to live only for the call.
struct ReceivedFields {
  std::string_view helo;            // as the client said it; "": client_name
  std::string_view client_name;     // "": unknown
  std::string_view client_address;  // "192.0.2.1" or "2001:db8::1"
  const TlsDescription* tls = nullptr;  // null: plaintext
  TlsClauseFormat tls_format = TlsClauseFormat::kPostfix;
  // Adds the clause "tls IANA-NAME" of RFC 8314 section 4.3. It stands behind
  // "for": RFC 5321 section 4.4 has additional clauses last.
  bool tls_clause = false;
  std::string_view sasl_login;  // printed when not empty
  std::string_view by;          // our host name
  std::string_view mail_name = "tlspost";
  std::string_view protocol;  // see ProtocolName
  std::string_view id;
  std::string_view recipient;  // the path, if there is exactly one
  std::string_view date;       // see FormatRfc5322Date
};

// The header with its line ends, to be written ahead of the message, in a spare
// string (common/base/spare_string.h).
std::string FormatReceived(const ReceivedFields& fields);

// The word behind "with": RFC 3848 and RFC 6531 section 4.3. S and A exist
// only for EHLO clients.
std::string_view ProtocolName(bool esmtp, bool tls, bool authenticated,
                              bool smtputf8);

// "Sun, 22 Nov 2026 17:35:19 +0000 (UTC)", in the local time zone; a spare
// string.
std::string FormatRfc5322Date(time_t utc_seconds);

}  // namespace tlspost::smtp

#endif  // TLSPOST_COMMON_SMTP_RECEIVED_H_
