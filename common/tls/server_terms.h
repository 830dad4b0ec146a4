// What a server offers to whom: the policy and the certificates that apply to
// one connection, chosen when its ClientHello is here.
//
// Nothing in a ClientHello makes the choice fail: what is unknown gets the
// defaults. Private to common/tls: it includes OpenSSL.

#ifndef TLSPOST_COMMON_TLS_SERVER_TERMS_H_
#define TLSPOST_COMMON_TLS_SERVER_TERMS_H_

#include <openssl/ssl.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/tls/openssl_handles.h"
#include "common/tls/server_name.h"
#include "common/tls/tls_options.h"
#include "common/tls/tls_policy.h"
#include "common/tls/tls_wire.h"

namespace tlspost::tls {

class ServerTerms {
 public:
  // The policy that holds when no other does. `trust` differs when the
  // authorities for client certificates do.
  ServerTerms(const TlsPolicy& policy, PolicyTerms terms, std::string trust);

  // Policies are looked at in the order they are added in.
  void AddPolicy(const TlsPolicy& policy, PolicyTerms terms);

  // `name` gets the certificates of `context`; it is normal. False when it has
  // some already.
  bool AddName(const std::string& name, SSL_CTX* context);

  // Sets the defaults on an SSL_CTX that has its certificates.
  absl::Status ApplyDefaults(SSL_CTX* context) const;

  // Applies what holds for a client that asks for `server_name` ("": for
  // none). False only when OpenSSL has no memory left.
  bool Apply(std::string_view server_name, TlsWire& wire, SSL* ssl) const;

  // Whether any policy asks for client certificates.
  bool asks_for_certificates() const;

 private:
  using SessionIdPart = std::array<uint8_t, 16>;

  struct Policy {
    std::vector<std::string> server_names;  // normal
    bool ask_client_certificate = false;
    PolicyTerms terms;
    SessionIdPart session_id_part;
  };
  struct Certificates {
    SSL_CTX* context = nullptr;
    SessionIdPart session_id_part;
  };

  Policy MakePolicy(const TlsPolicy& policy, PolicyTerms terms) const;
  static SessionIdPart PartOf(std::string_view text);
  static int VerifyMode(const Policy& policy);
  const Policy* Choose(std::string_view server_name, uint32_t candidates) const;

  const std::string trust_;
  const Policy default_policy_;
  const SessionIdPart default_certificates_part_;
  std::vector<Policy> policies_;
  ServerNameMap<Certificates> certificates_;
};

}  // namespace tlspost::tls

#endif  // TLSPOST_COMMON_TLS_SERVER_TERMS_H_
