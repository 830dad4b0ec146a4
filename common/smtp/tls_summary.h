// The words for a TLS connection, as Postfix writes them in log and header.
//
// The log line and the Received header say the same things in the same words,
// from the same functions. Sends and logs nothing.

#ifndef TLSPOST_COMMON_SMTP_TLS_SUMMARY_H_
#define TLSPOST_COMMON_SMTP_TLS_SUMMARY_H_

#include <string>
#include <string_view>

#include "common/base/tls_description.h"

namespace tlspost::smtp {

// Up to three clauses with `between` between them:
//   "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)"
//   "key-exchange X25519 server-signature RSA-PSS (2048 bits) server-digest
//   SHA256", not for TLS 1.2 and older, where the cipher's name says it;
//   "client-signature RSA-PSS (2048 bits) client-digest SHA256", not without a
//   client's certificate, nor for TLS 1.2 and older.
void AppendTlsSummary(const TlsDescription& tls, std::string_view between,
                      std::string& out);
// The three of them in one line.
std::string FormatTlsSummary(const TlsDescription& tls);

// "Anonymous", "Untrusted", "Trusted" or "Verified".
std::string_view TrustWord(PeerCertificate peer_certificate);

// tls_loglevel 1, one line for each handshake: "Anonymous TLS connection
// established from PEER to SNI: SUMMARY", or "reused" for a resumed one.
// `peer` is "name[address]". With kTo it is a server's: "established to PEER",
// which leaves the name out that we have asked for ourselves.
enum class TlsLogDirection { kFrom, kTo };
std::string FormatTlsLogLine(const TlsDescription& tls,
                             TlsLogDirection direction, std::string_view peer);

}  // namespace tlspost::smtp

#endif  // TLSPOST_COMMON_SMTP_TLS_SUMMARY_H_
