// What can be asked of a TlsContext: plain values, no behaviour.

#ifndef TLSPOST_COMMON_TLS_TLS_OPTIONS_H_
#define TLSPOST_COMMON_TLS_TLS_OPTIONS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/tls/ticket_keys.h"

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
};

struct ServerTlsOptions {
  // The certificate, as CertificateSource has it.
  std::string cert_file;
  std::string key_file;
  std::string cert_pem;
  std::string key_pem;
  // Further ones with another kind of key: a client that can use the ECDSA
  // certificate gets it, others the RSA one.
  std::vector<CertificateSource> additional_certificates;
  // A key file that others can read is an error instead of a warning.
  bool strict_key_permissions = false;

  // Ask for a client certificate; one that is missing or not trusted never
  // ends the handshake (the TlsDescription says what came).
  bool ask_client_certificate = false;
  std::string ca_file;  // trust for client certificates
  std::string ca_path;  // likewise; a directory with hashed names

  TlsVersion min_version = TlsVersion::kTls12;
  TlsVersion max_version = TlsVersion::kTls13;
  // OpenSSL's syntax; empty: the default of this project.
  std::string ciphers;       // TLS 1.2
  std::string ciphersuites;  // TLS 1.3
  std::string groups;

  // Shared by the contexts that must resume each other's sessions; null: keys
  // of this context's own.
  std::shared_ptr<TicketKeys> ticket_keys;
};

struct ClientTlsOptions {
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
