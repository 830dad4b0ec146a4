// TlsLibrary: OpenSSL's library context: its providers, locks and randomness.
//
// A handshake takes some 600 locks: each worker has a library of its own, so
// that no two workers wait for each other. OpenSSL cannot have many (two
// thread keys each, of 1024 in a process), so a worker's lives as long as the
// process and all its TlsContexts share it, however often they are reloaded.

#ifndef TLSPOST_COMMON_TLS_TLS_LIBRARY_H_
#define TLSPOST_COMMON_TLS_TLS_LIBRARY_H_

#include <string_view>

struct ossl_lib_ctx_st;

namespace tlspost::tls {

// "OpenSSL 3.0.19 27 Jan 2026": the one that is loaded.
std::string_view LibraryVersion();

class TlsLibrary {
 public:
  TlsLibrary();
  TlsLibrary(const TlsLibrary&) = delete;
  TlsLibrary& operator=(const TlsLibrary&) = delete;
  ~TlsLibrary();

  // For common/tls only.
  ossl_lib_ctx_st* get() const { return library_; }
  // Releases what OpenSSL keeps for this thread: a thread that goes on after
  // the library's end must not find it.
  void LeaveThread();

 private:
  ossl_lib_ctx_st* const library_;
};

}  // namespace tlspost::tls

#endif  // TLSPOST_COMMON_TLS_TLS_LIBRARY_H_
