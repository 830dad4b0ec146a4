// TLS to the backend: when it is wanted, the handshake, and what is said of it.

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "common/smtp/tls_summary.h"
#include "common/tls/tls_engine.h"
#include "proxy/backend_pool.h"

namespace tlspost {
namespace {

// Where TLS is optional and failed, connections do without for this time.
constexpr io::Duration kTlsRetryPause = std::chrono::minutes(10);

}  // namespace

bool BackendPool::WantsTls(const Backend& backend) {
  const BackendTlsLevel level = settings_->backend_tls_security_level;
  if (level == BackendTlsLevel::kNone) return false;
  if (level != BackendTlsLevel::kMay) return true;
  return backend.capabilities().starttls &&
         loop_.Now() >= backend.target->tls_retry_at;
}

Task<absl::Status> BackendPool::StartTls(Backend& backend, std::string hello,
                                         io::Time deadline) {
  const bool optional =
      settings_->backend_tls_security_level == BackendTlsLevel::kMay;
  if (!backend.capabilities().starttls) {
    // Not in plaintext instead: it would be what an attacker in between waits
    // for, who has taken the offer out.
    co_return absl::FailedPreconditionError(
        "it does not offer STARTTLS, which backend_tls_security_level "
        "requires; give it a certificate, or set backend_tls_security_level = "
        "may or none");
  }
  auto engine = std::make_unique<tls::TlsEngine>(tls_);
  const std::string host = backend.target->Host();
  const std::string& name = settings_->backend_tls_servername.empty()
                                ? host
                                : settings_->backend_tls_servername;
  if (!name.empty()) engine->SetServerName(name);
  const absl::Status started =
      co_await backend.StartTls(std::move(engine), std::move(hello), deadline);
  if (!started.ok()) {
    ++counters_.backend_handshakes_failed;
    if (optional) co_return DoWithoutTls(backend, started);
    co_return MakeStatus(absl::StatusCode::kFailedPrecondition,
                         absl::StrFormat("TLS: %s", MessageOf(started)));
  }
  ++counters_.backend_handshakes;
  if (settings_->backend_tls_loglevel >= 1) {
    const TlsDescription tls = backend.tls()->Describe();
    const io::Endpoint& peer = backend.stream().peer();
    log_.Info(smtp::FormatTlsLogLine(
        tls, smtp::TlsLogDirection::kTo,
        absl::StrFormat("%s[%s]:%d", host, peer.Address(), peer.port())));
  }
  co_return absl::OkStatus();
}

// TLS is optional and has failed. OK: the connection is good for plaintext;
// Aborted: another one is to be opened at once.
absl::Status BackendPool::DoWithoutTls(Backend& backend,
                                       const absl::Status& why) {
  if (stopping_ || backend.target->is_removed()) return why;
  backend.target->tls_retry_at = loop_.Now() + kTlsRetryPause;
  log_.Warning(
      absl::StrFormat("backend %s: TLS: %s; going on in plaintext, as "
                      "backend_tls_security_level = may allows",
                      backend.stream().peer().ToString(), MessageOf(why)));
  if (backend.tls() == nullptr && backend.at_boundary()) {
    return absl::OkStatus();  // it has only refused STARTTLS
  }
  return MakeStatus(absl::StatusCode::kAborted, MessageOf(why));
}

void BackendPool::NoteTlsOffer(const Backend& backend) {
  const bool wanted =
      settings_->backend_tls_note_starttls_offer &&
      settings_->backend_tls_security_level == BackendTlsLevel::kNone;
  if (!wanted || !backend.capabilities().starttls) return;
  if (!notes_.starttls_offer.Due(loop_.Now())) return;
  log_.Info(
      absl::StrFormat("Host offered STARTTLS: [%s]", backend.target->Host()));
}

}  // namespace tlspost
