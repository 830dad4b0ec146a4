// How a session gets into TLS (RFC 3207, RFC 8314 section 3.3), and what that
// asks of its client.

#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/co_try.h"
#include "common/smtp/reply.h"
#include "proxy/client_conduct.h"
#include "proxy/client_handshake.h"
#include "proxy/session.h"

namespace tlspost {

using smtp::Verb;

Task<absl::Status> Session::StartTls() {
  if (implicit_tls_) {
    absl::Status begun = co_await BeginWithTls();
    co_return begun;
  }
  // RFC 3207 section 4.2: nothing said before TLS counts after it. What came
  // behind STARTTLS may be an attacker's: it is neither executed nor taken for
  // TLS.
  const size_t dropped = client_.DiscardInput();
  if (dropped > 0) {
    ++services_.counters.starttls_injections;
    services_.log.Warning(absl::StrFormat(
        "%d octets of plaintext behind STARTTLS dropped from %s", dropped,
        Peer()));
  }
  if (dropped > 0 && services_.settings.forbid_unauth_pipelining) {
    Refuse(Verb::kStartTls, smtp::reply::kSynchronization);
    co_return absl::InvalidArgumentError("improper command pipelining");
  }
  const HandshakeLimit::Slot slot = services_.handshakes.Enter(state_.visit);
  if (!slot) {
    NoteHandshakeLimit();
    // Our own trouble is no error of the client's, unless it keeps asking.
    NoteJunk(services_, state_);
    CountCommand(services_, state_, Verb::kStartTls, false);
    Say(smtp::reply::kTooManyHandshakes);
    co_return absl::OkStatus();
  }
  if (state_.authenticated()) state_.authentication->Forget();
  state_.bound.reset();
  // For the record of who cannot do TLS, and nothing else.
  const std::string name_before = std::exchange(state_.helo, {});
  state_.esmtp = false;
  state_.offered = 0;
  client_.Say(smtp::reply::kReadyToStartTls.text());
  // Within the handshake's time, since its place is taken.
  CO_TRY(
      co_await client_.Flush(services_.loop.Now() + HandshakeTime(services_)));
  absl::Status shaken =
      co_await ShakeHands(services_, client_, TlsStart::kStartTls);
  CountCommand(services_, state_, Verb::kStartTls, shaken.ok());
  deadline_ = services_.loop.Now() + CommandTimeout(services_);
  if (shaken.ok()) {
    CountTlsSession();
  } else {
    NoteSender(name_before);
  }
  co_return shaken;
}

Task<absl::Status> Session::BeginWithTls() {
  const HandshakeLimit::Slot slot = services_.handshakes.Enter(state_.visit);
  if (!slot) NoteHandshakeLimit();
  const bool refused = RefuseHandshake(services_, state_, client_).has_value();
  // Words in plaintext mean nothing here: it is closed.
  if (!slot || refused || draining_ || services_.tls == nullptr) {
    co_return absl::UnavailableError("no TLS");
  }
  absl::Status shaken =
      co_await ShakeHands(services_, client_, TlsStart::kImplicit);
  if (shaken.ok()) CountTlsSession();
  if (shaken.ok() && !state_.farewell_said) Greet();
  if (!shaken.ok()) NoteSender({});
  co_return shaken;
}

// A handshake that resumed nothing. One too many ends the session.
void Session::CountTlsSession() {
  if (client_.stream().engine()->Describe().reused) return;
  const std::optional<std::string> refusal =
      CountEvent(services_, state_, client_, ClientEvent::kNewTlsSession);
  if (!refusal.has_value()) return;
  client_.Say(*refusal);
  state_.farewell_said = true;
}

void Session::NoteHandshakeLimit() {
  ++services_.counters.handshakes_refused;
  ++services_.counters.limits_hit[Limit::kTlsHandshake];
  services_.log.Warning(absl::StrFormat(
      "too many TLS handshakes under way, %s is turned away", Peer()));
}

bool Session::in_tls() const { return client_.stream().engine() != nullptr; }

bool Session::failed_handshake() const {
  const tls::TlsEngine* engine = client_.stream().engine();
  return engine != nullptr && !engine->established();
}

bool Session::offers_tls() const {
  return services_.tls != nullptr && level_ != TlsSecurityLevel::kNone &&
         !in_tls();
}

bool Session::needs_tls() const {
  return level_ == TlsSecurityLevel::kEncrypt && !in_tls();
}

bool Session::has_required_certificate() const {
  const bool tls_is_mandatory =
      implicit_tls_ || level_ == TlsSecurityLevel::kEncrypt;
  return HasRequiredCertificate(services_, client_, tls_is_mandatory);
}

}  // namespace tlspost
