#include "common/tls/tls_failure.h"

#include <openssl/ssl.h>

#include "absl/strings/str_format.h"

namespace tlspost::tls {
namespace {

// Every TLS record starts with its content type (RFC 8446 section 5.1); an
// SSLv2-style ClientHello starts with the high bit set.
bool CanBeginTls(uint8_t octet) {
  const bool record =
      octet >= SSL3_RT_CHANGE_CIPHER_SPEC && octet <= SSL3_RT_APPLICATION_DATA;
  return record || (octet & 0x80) != 0;
}

bool IsPeerAlert(int ssl_reason) {
  return ssl_reason >= SSL_AD_REASON_OFFSET &&
         ssl_reason < SSL_AD_REASON_OFFSET + 256;
}

const char* Peer(const TlsFailureFacts& facts) {
  return facts.server ? "the client" : "the server";
}

std::string ExplainAlert(const TlsFailureFacts& facts) {
  const int alert = facts.ssl_reason - SSL_AD_REASON_OFFSET;
  std::string text =
      absl::StrFormat("%s ended the connection with TLS alert %d (%s)",
                      Peer(facts), alert, SSL_alert_desc_string_long(alert));
  if (facts.established) return text;
  switch (alert) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
      return text + ": it does not accept our certificate";
    case SSL_AD_HANDSHAKE_FAILURE:
    case SSL_AD_INSUFFICIENT_SECURITY:
      return text + ": it has no cipher or group in common with us";
    case SSL_AD_PROTOCOL_VERSION:
      return text + ": it has no TLS version in common with us";
    default:
      return text;
  }
}

std::string ExplainVersion(const TlsFailureFacts& facts) {
  if (facts.server && facts.offered_version != 0) {
    return absl::StrFormat(
        "the client offers nothing newer than %s, and %s is required",
        VersionName(facts.offered_version), VersionName(facts.minimum_version));
  }
  return absl::StrFormat("%s has no TLS version in common with us (%s)",
                         Peer(facts), facts.reason);
}

}  // namespace

const char* NameOf(TlsFailure failure) {
  switch (failure) {
    case TlsFailure::kNone:
      return "none";
    case TlsFailure::kPlaintext:
      return "plaintext";
    case TlsFailure::kUnsupportedProtocol:
      return "unsupported_protocol";
    case TlsFailure::kNothingShared:
      return "nothing_shared";
    case TlsFailure::kPeerAlert:
      return "peer_alert";
    case TlsFailure::kLostConnection:
      return "lost_connection";
    case TlsFailure::kOverLimit:
      return "over_limit";
    case TlsFailure::kUntrustedPeer:
      return "untrusted_peer";
    case TlsFailure::kProtocolError:
      return "protocol_error";
  }
  return "unknown";
}

std::string VersionName(uint16_t version) {
  switch (version) {
    case SSL3_VERSION:
      return "SSLv3";
    case TLS1_VERSION:
      return "TLSv1";
    case TLS1_1_VERSION:
      return "TLSv1.1";
    case TLS1_2_VERSION:
      return "TLSv1.2";
    case TLS1_3_VERSION:
      return "TLSv1.3";
    default:
      return absl::StrFormat("version 0x%04x", version);
  }
}

TlsFailure Classify(const TlsFailureFacts& facts) {
  if (facts.over_limit) return TlsFailure::kOverLimit;
  if (IsPeerAlert(facts.ssl_reason)) return TlsFailure::kPeerAlert;
  if (!facts.established && facts.saw_input &&
      !CanBeginTls(facts.first_octet)) {
    return TlsFailure::kPlaintext;
  }
  switch (facts.ssl_reason) {
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_VERSION_TOO_HIGH:
    case SSL_R_WRONG_SSL_VERSION:
    case SSL_R_UNKNOWN_PROTOCOL:
    case SSL_R_NO_PROTOCOLS_AVAILABLE:
      return TlsFailure::kUnsupportedProtocol;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SHARED_GROUPS:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SUITABLE_GROUPS:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
      return TlsFailure::kNothingShared;
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
      return TlsFailure::kUntrustedPeer;
    default:
      return TlsFailure::kProtocolError;
  }
}

std::string Explain(TlsFailure failure, const TlsFailureFacts& facts) {
  switch (failure) {
    case TlsFailure::kNone:
      return "no failure";
    case TlsFailure::kPlaintext:
      return absl::StrFormat(
          "%s sent plaintext where the TLS handshake was due", Peer(facts));
    case TlsFailure::kUnsupportedProtocol:
      return ExplainVersion(facts);
    case TlsFailure::kNothingShared:
      return absl::StrFormat("%s and we have too little in common (%s)%s%s",
                             Peer(facts), facts.reason,
                             facts.offered.empty() ? "" : "; it offered ",
                             facts.offered);
    case TlsFailure::kPeerAlert:
      return ExplainAlert(facts);
    case TlsFailure::kLostConnection:
      return absl::StrFormat("lost the connection to %s during the handshake",
                             Peer(facts));
    case TlsFailure::kOverLimit:
      return absl::StrFormat("%s sent more %s than is allowed", Peer(facts),
                             facts.established ? "key updates or renegotiations"
                                               : "handshake data");
    case TlsFailure::kUntrustedPeer:
      return absl::StrFormat("the certificate of %s does not verify: %s",
                             Peer(facts), facts.verify_error);
    case TlsFailure::kProtocolError:
      return absl::StrFormat("TLS with %s failed: %s", Peer(facts),
                             facts.reason);
  }
  return "unknown failure";
}

}  // namespace tlspost::tls
