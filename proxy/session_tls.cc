// How a session gets into TLS (RFC 3207, RFC 8314 section 3.3), and what that
// asks of its client.

#include "absl/strings/str_format.h"
#include "common/base/co_try.h"
#include "common/smtp/reply.h"
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
  const HandshakeLimit::Slot slot =
      services_.handshakes.Enter(client_.stream().transport().peer());
  if (!slot) {
    NoteHandshakeLimit();
    // Our own trouble is no error of the client's, unless it keeps asking.
    if (++state_.junk > services_.settings.junk_command_limit) ++state_.errors;
    state_.tally.Count(Verb::kStartTls, false);
    Say(smtp::reply::kTooManyHandshakes);
    co_return absl::OkStatus();
  }
  if (state_.authenticated()) state_.authentication->Forget();
  state_.helo.clear();
  state_.esmtp = false;
  client_.Say(smtp::reply::kReadyToStartTls.text());
  CO_TRY(co_await client_.Flush());
  absl::Status shaken =
      co_await ShakeHands(services_, client_, TlsStart::kStartTls);
  state_.tally.Count(Verb::kStartTls, shaken.ok());
  deadline_ = services_.loop.Now() + services_.settings.command_timeout;
  co_return shaken;
}

Task<absl::Status> Session::BeginWithTls() {
  const HandshakeLimit::Slot slot =
      services_.handshakes.Enter(client_.stream().transport().peer());
  if (!slot) NoteHandshakeLimit();
  // Words in plaintext mean nothing here: it is closed.
  if (!slot || draining_ || services_.tls == nullptr) {
    co_return absl::UnavailableError("no TLS");
  }
  absl::Status shaken =
      co_await ShakeHands(services_, client_, TlsStart::kImplicit);
  if (shaken.ok()) Greet();
  co_return shaken;
}

void Session::NoteHandshakeLimit() {
  ++services_.counters.handshakes_refused;
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
