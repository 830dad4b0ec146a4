#include "common/smtp/tls_summary.h"

#include "common/base/check.h"
#include "common/smtp/text.h"

namespace tlspost::smtp {
namespace {

// " (CURVE)", or " (N bits)", or nothing.
void AppendKind(std::string_view curve, int bits, std::string& out) {
  if (!curve.empty()) {
    out.append(" (").append(curve).append(")");
  } else if (bits > 0) {
    out.append(" (").append(std::to_string(bits)).append(" bits)");
  }
}

// "SIDE-signature RSA-PSS (2048 bits) SIDE-digest SHA256", behind `before`.
void AppendSignature(std::string_view before, std::string_view side,
                     const TlsSignature& signature, std::string& out) {
  if (signature.algorithm.empty()) return;
  out.append(before)
      .append(side)
      .append("-signature ")
      .append(signature.algorithm);
  AppendKind(signature.curve, signature.bits, out);
  if (signature.digest.empty()) return;
  out.append(" ").append(side).append("-digest ").append(signature.digest);
}

// Up to TLS 1.2 the cipher's name tells key exchange and signature, and
// Postfix prints nothing more (protocol.md appendix C).
bool CipherNameSaysAll(const TlsDescription& tls) {
  return tls.protocol == "TLSv1.2" || tls.protocol == "TLSv1.1" ||
         tls.protocol == "TLSv1" || tls.protocol == "SSLv3";
}

}  // namespace

void AppendTlsSummary(const TlsDescription& tls, std::string_view between,
                      std::string& out) {
  out.append(tls.protocol).append(" with cipher ").append(tls.cipher);
  out.append(" (").append(std::to_string(tls.used_bits));
  out.append("/").append(std::to_string(tls.algorithm_bits));
  out.append(" bits)");
  if (CipherNameSaysAll(tls)) return;
  const bool has_exchange = !tls.key_exchange.empty();
  if (has_exchange) {
    out.append(between).append("key-exchange ").append(tls.key_exchange);
    AppendKind(tls.key_exchange_group, tls.key_exchange_bits, out);
  }
  AppendSignature(has_exchange ? " " : between, "server", tls.server_signature,
                  out);
  AppendSignature(between, "client", tls.client_signature, out);
}

std::string FormatTlsSummary(const TlsDescription& tls) {
  std::string text;
  AppendTlsSummary(tls, " ", text);
  return text;
}

std::string_view TrustWord(PeerCertificate peer_certificate) {
  switch (peer_certificate) {
    case PeerCertificate::kNotRequested:
    case PeerCertificate::kNotPresented:
      return "Anonymous";
    case PeerCertificate::kUntrusted:
      return "Untrusted";
    case PeerCertificate::kTrusted:
      return "Trusted";
    case PeerCertificate::kVerified:
      return "Verified";
  }
  TLSPOST_CHECK(false);
  return {};
}

std::string FormatTlsLogLine(const TlsDescription& tls,
                             TlsLogDirection direction, std::string_view peer) {
  const bool from = direction == TlsLogDirection::kFrom;
  std::string line(TrustWord(tls.peer_certificate));
  line.append(" TLS connection ").append(tls.reused ? "reused" : "established");
  line.append(from ? " from " : " to ").append(peer);
  if (from && !tls.sni.empty()) {
    line.append(" to ").append(SanitizeForDomain(tls.sni));
  }
  line.append(": ");
  AppendTlsSummary(tls, " ", line);
  return line;
}

}  // namespace tlspost::smtp
