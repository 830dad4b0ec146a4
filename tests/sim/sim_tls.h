// The TLS contexts of the simulated world, made once per process.
//
// Keys are slow to make and handshakes slow to do, so all worlds share one
// server context, and clients resume each other's sessions where they may.

#ifndef TLSPOST_TESTS_SIM_SIM_TLS_H_
#define TLSPOST_TESTS_SIM_SIM_TLS_H_

#include <memory>

#include "common/tls/tls_context.h"
#include "common/tls/tls_engine.h"

namespace tlspost::sim {

std::shared_ptr<tls::TlsContext> ServerTls();
// The proxy's towards a backend; it trusts anybody.
std::shared_ptr<tls::TlsContext> ClientContext();

// A client's engine for TLS 1.3, or at most 1.2.
std::unique_ptr<tls::TlsEngine> MakeClientEngine(bool tls13);

// Whether the engines made next resume a session. On at first: resumed
// handshakes are cheap, and all their flights have the same length each time,
// so that a cut at octet N of the ciphertext is always the same cut.
void SetResumption(bool on);

}  // namespace tlspost::sim

#endif  // TLSPOST_TESTS_SIM_SIM_TLS_H_
