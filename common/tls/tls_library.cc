#include "common/tls/tls_library.h"

#include <openssl/crypto.h>
#include <openssl/types.h>

#include "common/base/check.h"

namespace tlspost::tls {

std::string_view LibraryVersion() { return OpenSSL_version(OPENSSL_VERSION); }

TlsLibrary::TlsLibrary() : library_(OSSL_LIB_CTX_new()) {
  TLSPOST_CHECK(library_ != nullptr);
}

TlsLibrary::~TlsLibrary() { OSSL_LIB_CTX_free(library_); }

void TlsLibrary::LeaveThread() { OPENSSL_thread_stop_ex(library_); }

}  // namespace tlspost::tls
