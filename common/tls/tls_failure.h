// Why a TLS connection failed, in words an administrator understands.
//
// The classes are few: what one does about a failure depends on its class, and
// the text says the rest. No OpenSSL type passes through this header.

#ifndef TLSPOST_COMMON_TLS_TLS_FAILURE_H_
#define TLSPOST_COMMON_TLS_TLS_FAILURE_H_

#include <cstdint>
#include <string>

namespace tlspost::tls {

enum class TlsFailure : uint8_t {
  kNone,
  kPlaintext,            // the peer sent something that is not TLS
  kUnsupportedProtocol,  // no TLS version in common
  kNothingShared,        // no cipher, group or signature in common
  kPeerAlert,            // the peer gave up, and said why
  kLostConnection,       // the peer went away during the handshake
  kOverLimit,            // more handshake or control data than we allow
  kUntrustedPeer,        // its certificate was required to verify, and did not
  kProtocolError,        // a bad record, a bad message, or a local problem
};

// "plaintext", "unsupported_protocol", ...: for metrics.
const char* NameOf(TlsFailure failure);

// What is known about a failure.
struct TlsFailureFacts {
  bool server = false;       // our role
  bool established = false;  // after the handshake
  bool over_limit = false;
  bool saw_input = false;
  uint8_t first_octet = 0;       // of what the peer sent
  int ssl_reason = 0;            // OpenSSL's SSL_R_ number
  std::string reason;            // OpenSSL's word for it
  uint16_t offered_version = 0;  // by the client; 0: unknown
  uint16_t minimum_version = 0;  // ours
  std::string offered;           // ciphers and groups, if they are the matter
  std::string verify_error;      // of the peer's certificate, if it is
};

TlsFailure Classify(const TlsFailureFacts& facts);

// One plain line.
std::string Explain(TlsFailure failure, const TlsFailureFacts& facts);

// "TLSv1.1"; "SSLv3"; "version 0x0200" for what has no name.
std::string VersionName(uint16_t version);

}  // namespace tlspost::tls

#endif  // TLSPOST_COMMON_TLS_TLS_FAILURE_H_
