// OCSP responses that are handed out with our certificates (stapling, RFC 6066
// section 8).
//
// They come from files that someone else renews; nothing is ever fetched, and
// their signature is for the client to check. One that is not valid now is not
// handed out. Private to common/tls: it includes OpenSSL.

#ifndef TLSPOST_COMMON_TLS_OCSP_STAPLES_H_
#define TLSPOST_COMMON_TLS_OCSP_STAPLES_H_

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"

namespace tlspost::tls {

class OcspStaples {
 public:
  OcspStaples();
  ~OcspStaples();

  // Loads the response in `path` for those of `leaves` that it is about. An
  // error when it is no successful response; a warning when it is of no use
  // now.
  absl::Status AddFile(const std::string& path,
                       const std::vector<X509*>& leaves,
                       std::vector<std::string>* warnings);

  // Lets the SSLs of `context` hand the responses out. This object must
  // outlive them.
  void ServeIn(SSL_CTX* context);

 private:
  struct Staple;

  static int OnStatusRequest(SSL* ssl, void* staples);
  static std::string ProblemOf(const Staple& staple);

  // By the address that the SSL_CTX, too, knows the certificate by.
  std::unordered_map<const X509*, std::shared_ptr<const Staple>> staples_;
};

}  // namespace tlspost::tls

#endif  // TLSPOST_COMMON_TLS_OCSP_STAPLES_H_
