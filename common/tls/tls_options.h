// What can be asked of a TlsContext: plain values, no behaviour.

#ifndef TLSPOST_COMMON_TLS_TLS_OPTIONS_H_
#define TLSPOST_COMMON_TLS_TLS_OPTIONS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/tls/ticket_keys.h"
#include "common/tls/tls_library.h"

namespace tlspost::tls {

// The numbers are those of the protocol (RFC 8446 section 4.2.1).
enum class TlsVersion : uint16_t {
  kTls10 = 0x0301,
  kTls11 = 0x0302,
  kTls12 = 0x0303,
  kTls13 = 0x0304,
};

// A certificate, its intermediates and its key: in files or as PEM text.
// The leaf comes first, then the intermediates. A file may hold both the key
// and the certificates, in any order.
struct CertificateSource {
  std::string cert_file;
  std::string key_file;  // empty: the key is in cert_file
  std::string cert_pem;  // used when cert_file is empty
  std::string key_pem;   // used when cert_file is empty; empty: in cert_pem

  friend bool operator==(const CertificateSource&,
                         const CertificateSource&) = default;
};

// The terms of a handshake besides the certificate. Empty lists are the
// defaults of this project; their syntax is OpenSSL's.
struct TlsPolicy {
  std::string title;  // where it stands, for messages; may be empty

  // Names a client may ask for (SNI) to get this policy: "mx.example.org", or
  // ".example.org" for all names below it. Empty: any name, and none.
  std::vector<std::string> server_names;

  TlsVersion min_version = TlsVersion::kTls12;
  TlsVersion max_version = TlsVersion::kTls13;
  std::string ciphers;       // up to TLS 1.2
  std::string ciphersuites;  // TLS 1.3
  std::string groups;

  // Ask for a client certificate; one that is missing or not trusted never
  // ends the handshake (the TlsDescription says what came).
  bool ask_client_certificate = false;
};

// What is served to clients that ask for `name` (SNI): "mx.example.org", or
// ".example.org" for all names below it that have no entry of their own.
struct NamedCertificates {
  std::string name;
  std::vector<CertificateSource> certificates;
};

struct ServerTlsOptions {
  // Shared by all contexts of one worker; null: one of this context's own.
  std::shared_ptr<TlsLibrary> library;

  // Served to clients that ask for no name, or for one that has no entry in
  // `named_certificates`. One for each kind of key: a client that can use the
  // ECDSA certificate gets it, others the RSA one.
  std::vector<CertificateSource> certificates;
  std::vector<NamedCertificates> named_certificates;
  // A key file that others can read is an error instead of a warning.
  bool strict_key_permissions = false;
  // Files with an OCSP response in DER, each for one of the certificates.
  std::vector<std::string> ocsp_response_files;

  // For everybody to whom none of `policies` applies.
  TlsPolicy policy;
  // At most kMaxPolicies. The first one that is among the candidates of the
  // connection (TlsEngine::SetPolicyCandidates) and has its name applies.
  static constexpr size_t kMaxPolicies = 32;
  std::vector<TlsPolicy> policies;

  // Trust for client certificates; loaded when any policy asks for them.
  std::string ca_file;
  std::string ca_path;  // a directory with hashed names

  // Shared by the contexts that must resume each other's sessions; null: keys
  // of this context's own.
  std::shared_ptr<TicketKeys> ticket_keys;
  // How long a session may be resumed.
  std::chrono::seconds session_lifetime = std::chrono::hours(1);
};

struct ClientTlsOptions {
  std::shared_ptr<TlsLibrary> library;  // as for a server

  // Fail the handshake unless the server's certificate chains to one of the
  // authorities below (and has the name given to TlsEngine::SetServerName).
  bool verify = false;
  // With none of the three and `verify`, the system's store is used.
  std::string ca_file;
  std::string ca_path;
  std::string ca_pem;

  // Our own certificate, if the server asks for one. Empty: none.
  CertificateSource certificate;

  TlsVersion min_version = TlsVersion::kTls12;
  TlsVersion max_version = TlsVersion::kTls13;
  std::string ciphers;
  std::string ciphersuites;
  std::string groups;
};

}  // namespace tlspost::tls

#endif  // TLSPOST_COMMON_TLS_TLS_OPTIONS_H_
