// Shared TLS contexts and sessions.

#include "tests/sim/sim_tls.h"

#include <openssl/ssl.h>

#include <array>
#include <cstddef>
#include <string>
#include <utility>

#include "common/base/check.h"
#include "common/tls/self_signed.h"
#include "common/tls/tls_session.h"

namespace tlspost::sim {
namespace {

// libssl spoils a session when a connection that used it ends without
// close_notify, and here most do: each gets a copy.
std::unique_ptr<tls::TlsSession> CopyOf(
    const tls::TlsSession& session,
    const std::shared_ptr<tls::TlsContext>& context) {
  SSL_SESSION* const copy = SSL_SESSION_dup(session.get());
  TLSPOST_CHECK(copy != nullptr);
  return std::make_unique<tls::TlsSession>(context, copy);
}

// A first handshake in memory, from which later ones are resumed.
std::unique_ptr<tls::TlsSession> MakeSession(
    std::shared_ptr<tls::TlsContext> client_context,
    std::shared_ptr<tls::TlsContext> server_context) {
  tls::TlsEngine client(client_context);
  tls::TlsEngine server(std::move(server_context));
  char byte = 0;
  size_t got = 0;
  for (int round = 0; round < 8; ++round) {
    for (tls::TlsEngine* from : {&client, &server}) {
      tls::TlsEngine& to = from == &client ? server : client;
      auto step =
          from->established() ? from->Read(&byte, 1, &got) : from->Handshake();
      TLSPOST_CHECK(step != tls::TlsEngine::Step::kFailed);
      if (!from->has_output()) continue;
      const std::string output = from->TakeOutput();
      to.SetInput(output);
      step = to.established() ? to.Read(&byte, 1, &got) : to.Handshake();
      // The rest is used up as well: `output` goes away.
      if (to.established()) step = to.Read(&byte, 1, &got);
      TLSPOST_CHECK(step == tls::TlsEngine::Step::kWantRead);
    }
  }
  auto session = client.TakeSession();
  TLSPOST_CHECK(session != nullptr);
  return CopyOf(*session, client_context);
}

struct Shared {
  Shared() {
    tls::SelfSigned certificate = tls::GenerateSelfSigned("mx.example");
    tls::ServerTlsOptions options;
    options.certificates.push_back({"", "", std::move(certificate.cert_pem),
                                    std::move(certificate.key_pem)});
    auto made = tls::TlsContext::CreateServer(options);
    TLSPOST_CHECK(made.ok());
    server = *std::move(made);
    for (const bool tls13 : {false, true}) {
      tls::ClientTlsOptions client_options;
      if (!tls13) client_options.max_version = tls::TlsVersion::kTls12;
      auto client = tls::TlsContext::CreateClient(client_options);
      TLSPOST_CHECK(client.ok());
      const size_t index = tls13 ? 1 : 0;
      clients[index] = *std::move(client);
      sessions[index] = MakeSession(clients[index], server);
    }
  }

  std::shared_ptr<tls::TlsContext> server;
  std::array<std::shared_ptr<tls::TlsContext>, 2> clients;
  std::array<std::unique_ptr<tls::TlsSession>, 2> sessions;
  bool resume = true;
};

Shared& Instance() {
  static Shared shared;
  return shared;
}

}  // namespace

std::shared_ptr<tls::TlsContext> ServerTls() { return Instance().server; }

std::shared_ptr<tls::TlsContext> ClientContext() {
  return Instance().clients[1];
}

std::unique_ptr<tls::TlsEngine> MakeClientEngine(bool tls13) {
  Shared& shared = Instance();
  const size_t index = tls13 ? 1 : 0;
  auto engine = std::make_unique<tls::TlsEngine>(shared.clients[index]);
  if (shared.resume) {
    const auto session = CopyOf(*shared.sessions[index], shared.clients[index]);
    engine->SetSession(*session);
  }
  return engine;
}

void SetResumption(bool on) { Instance().resume = on; }

}  // namespace tlspost::sim
