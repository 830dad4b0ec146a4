// PEM text as OpenSSL reads it.

#ifndef TLSPOST_TESTS_UNIT_TLS_PEM_BIO_H_
#define TLSPOST_TESTS_UNIT_TLS_PEM_BIO_H_

#include <string>

#include "common/tls/openssl_handles.h"

namespace tlspost::tls {

// `text` outlives it.
inline BioHandle Over(const std::string& text) {
  return BioHandle(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

}  // namespace tlspost::tls

#endif  // TLSPOST_TESTS_UNIT_TLS_PEM_BIO_H_
