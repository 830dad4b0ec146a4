// TLS sessions that headers and log lines are made of, as OpenSSL would
// describe them.

#ifndef TLSPOST_TESTS_UNIT_SMTP_TLS_DESCRIPTIONS_H_
#define TLSPOST_TESTS_UNIT_SMTP_TLS_DESCRIPTIONS_H_

#include "common/base/tls_description.h"

namespace tlspost::smtp {

inline TlsDescription Tls13() {
  TlsDescription tls;
  tls.protocol = "TLSv1.3";
  tls.cipher = "TLS_AES_256_GCM_SHA384";
  tls.used_bits = tls.algorithm_bits = 256;
  tls.key_exchange = "X25519";
  tls.server_signature = {"RSA-PSS", "", 2048, "SHA256"};
  return tls;
}

}  // namespace tlspost::smtp

#endif  // TLSPOST_TESTS_UNIT_SMTP_TLS_DESCRIPTIONS_H_
