// What one established TLS connection is, as plain words.
//
// Filled by common/tls, printed by common/smtp (Received header, log line) and
// proxy/; it is here because neither of those two layers sees the other. Knows
// nothing of OpenSSL and decides nothing.

#ifndef TLSPOST_COMMON_BASE_TLS_DESCRIPTION_H_
#define TLSPOST_COMMON_BASE_TLS_DESCRIPTION_H_

#include <cstdint>
#include <string>

namespace tlspost {

// What is known of the peer's certificate.
enum class PeerCertificate : uint8_t {
  kNotRequested,  // we did not ask for one
  kNotPresented,  // asked, and none came
  kUntrusted,     // came, but chains to no authority we trust
  kTrusted,       // chains to a trusted authority; its name was not checked
  kVerified,      // trusted, and its name is the one that was expected
};

// How one side of the handshake was signed. Empty `algorithm`: nothing was
// signed, or nothing is known (a resumed session, TLS 1.2 and older).
struct TlsSignature {
  std::string algorithm;  // "RSA-PSS", "ECDSA", "ED25519"
  std::string curve;      // "prime256v1"; "" when there is none
  int bits = 0;           // key size when there is no curve; 0: unknown
  std::string digest;     // "SHA256"; "" when the algorithm implies it
};

struct TlsDescription {
  std::string protocol;     // "TLSv1.3"
  std::string cipher;       // OpenSSL's name, "TLS_AES_256_GCM_SHA384"
  std::string iana_cipher;  // "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"
  int used_bits = 0;        // 256: key bits in use
  int algorithm_bits = 0;   // 256: key bits of the algorithm

  std::string key_exchange;        // "X25519", "ECDHE", "DHE"; "" if unknown
  std::string key_exchange_group;  // "prime256v1"; "" when the name says it
  int key_exchange_bits = 0;       // printed when there is no group; 0: not

  TlsSignature server_signature;
  TlsSignature client_signature;

  bool reused = false;  // resumed from a session ticket or cache
  std::string sni;      // the name the client asked for; "" if none

  PeerCertificate peer_certificate = PeerCertificate::kNotRequested;
  std::string peer_cn;         // raw text of the certificate: sanitise
  std::string peer_issuer_cn;  // likewise
};

}  // namespace tlspost

#endif  // TLSPOST_COMMON_BASE_TLS_DESCRIPTION_H_
