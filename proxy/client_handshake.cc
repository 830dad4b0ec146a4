// Handshakes with clients, and their log lines.

#include "proxy/client_handshake.h"

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "common/smtp/tls_summary.h"
#include "common/tls/tls_engine.h"
#include "proxy/client_conduct.h"
#include "proxy/tls_log_trace.h"

namespace tlspost {
namespace {

// What tls_loglevel adds: the steps of handshakes; a dump of their octets; a
// dump of all that follows.
constexpr int kTraceLevel = 2;
constexpr int kDumpLevel = 3;
constexpr int kDumpAllLevel = 4;

void CountSuccess(Counters& counters, const TlsDescription& tls) {
  ++counters.handshakes;
  if (tls.reused) ++counters.handshakes_resumed;
  ++counters.handshake_versions.at(LabelIndex(kTlsVersionLabels, tls.protocol));
  ++counters.handshake_ciphers.at(LabelIndex(kTlsCipherLabels, tls.cipher));
  ++counters.handshake_groups.at(LabelIndex(kTlsGroupLabels, TlsGroupOf(tls)));
}

void NoteSuccess(SessionServices& services, ClientChannel& client) {
  const TlsDescription tls = client.stream().engine()->Describe();
  CountSuccess(services.counters, tls);
  client.TraceEvent(
      absl::StrFormat("%s with cipher %s", tls.protocol, tls.cipher));
  if (services.settings.tls_loglevel >= 1) {
    services.log.Info(
        smtp::FormatTlsLogLine(tls, smtp::TlsLogDirection::kFrom,
                               LogName(client.stream().transport())));
  }
}

void CountFailure(Counters& counters, tls::TlsFailure failure) {
  ++counters.handshakes_failed;
  ++counters.handshake_failures.at(TlsFailureIndex(failure));
}

// What went wrong, in plain words.
std::string Words(const tls::TlsEngine& engine, const absl::Status& why,
                  TlsStart start) {
  if (engine.failure() != tls::TlsFailure::kPlaintext) {
    return std::string(MessageOf(why));
  }
  return start == TlsStart::kStartTls
             ? "the client sent plaintext after STARTTLS"
             : "the client sent plaintext on an implicit-TLS port";
}

// Postfix's lines, and one in plain words.
void NoteFailure(SessionServices& services, const ClientChannel& client,
                 const absl::Status& why, TlsStart start) {
  const tls::TlsEngine& engine = *client.stream().engine();
  CountFailure(services.counters, engine.failure());
  if (absl::IsDeadlineExceeded(why)) {
    ++services.counters.limits_hit[Limit::kTlsHandshakeTimeout];
  }
  const std::string name = LogName(client.stream().transport());
  const bool lost = engine.failure() == tls::TlsFailure::kNone ||
                    engine.failure() == tls::TlsFailure::kLostConnection;
  const std::string_view result = absl::IsDeadlineExceeded(why)
                                      ? "Connection timed out"
                                  : lost ? "lost connection"
                                         : "-1";
  services.log.Info(
      absl::StrFormat("SSL_accept error from %s: %s", name, result));
  if (!engine.library_error().empty()) {
    services.log.Warning(
        absl::StrFormat("TLS library problem: %s", engine.library_error()));
  }
  services.log.Info(absl::StrFormat("TLS handshake with %s failed: %s", name,
                                    Words(engine, why, start)));
}

void BeginTrace(SessionServices& services, const ClientChannel& client,
                tls::TlsEngine& engine) {
  const int level = services.settings.tls_loglevel;
  if (level < kTraceLevel) return;
  const std::string name = LogName(client.stream().transport());
  services.log.Info(absl::StrFormat("setting up TLS connection from %s", name));
  engine.SetTrace(
      std::make_unique<TlsLogTrace>(services.log, name, level >= kDumpLevel));
}

}  // namespace

Task<absl::Status> ShakeHands(SessionServices& services, ClientChannel& client,
                              TlsStart start) {
  const io::Endpoint& peer = client.stream().transport().peer();
  auto engine = std::make_unique<tls::TlsEngine>(services.tls);
  engine->SetPolicyCandidates(services.policies.CandidatesFor(peer));
  BeginTrace(services, client, *engine);
  const io::Time began = services.loop.Now();
  const io::Time deadline = began + HandshakeTime(services);
  absl::Status shaken =
      co_await client.stream().StartTls(std::move(engine), deadline);
  if (services.settings.tls_loglevel < kDumpAllLevel) {
    client.stream().engine()->SetTrace(nullptr);
  }
  if (shaken.ok()) {
    services.counters.Observe(Phase::kHandshake, services.loop.Now() - began);
    NoteSuccess(services, client);
  } else {
    client.TraceEvent("TLS handshake failed");
    NoteFailure(services, client, shaken, start);
  }
  co_return shaken;
}

bool HasRequiredCertificate(const SessionServices& services,
                            const ClientChannel& client, bool mandatory) {
  const tls::TlsEngine* engine = client.stream().engine();
  if (!mandatory || engine == nullptr) return true;
  if (!services.policies.RequiresCertificate(engine->applied_policy())) {
    return true;
  }
  const PeerCertificate certificate = engine->Describe().peer_certificate;
  return certificate == PeerCertificate::kTrusted ||
         certificate == PeerCertificate::kVerified;
}

}  // namespace tlspost
