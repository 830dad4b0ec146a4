// What others are told of a session, while it is open and when it has ended.

#include "proxy/session_facts.h"

#include <chrono>

#include "proxy/session.h"

namespace tlspost {

SessionFacts Session::Facts() const {
  SessionFacts facts;
  const io::Stream& stream = client_.stream().transport();
  const tls::TlsEngine* engine = client_.stream().engine();
  facts.client = stream.peer().ToString();
  const io::PeerName* name = stream.peer_name();
  if (name != nullptr) facts.client_name = name->name;
  facts.helo = state_.helo;
  const bool shaking = engine != nullptr && !engine->established();
  const bool awaits_hello = implicit_tls_ && engine == nullptr;
  facts.state = shaking || awaits_hello ? "handshake"
                : idle_                 ? "idle"
                                        : "command";
  facts.command = smtp::InfoOf(state_.last_verb).name;
  facts.tls = TlsUseOf(engine);
  if (facts.tls != TlsUse::kNone) facts.cipher = engine->Describe().cipher;
  facts.age = std::chrono::milliseconds(MillisecondsOf(services_.loop.Now()) -
                                        started_ms_);
  facts.transactions =
      static_cast<uint32_t>(state_.tally.Successes(smtp::Verb::kMail));
  facts.messages = state_.messages;
  facts.errors = state_.errors;
  return facts;
}

// In TLS 1.3 a client's verdict on our certificate comes when the handshake is
// over for us: they are counted at the end.
void Session::CountAlerts() {
  const tls::TlsEngine* engine = client_.stream().engine();
  if (engine == nullptr) return;
  auto& alerts = services_.counters.tls_alerts;
  const int received = engine->alert_received();
  const int sent = engine->alert_sent();
  if (received >= 0) ++alerts.at(0, TlsAlertIndex(received));
  if (sent >= 0) ++alerts.at(1, TlsAlertIndex(sent));
}

// Who has neither said a name nor begun with TLS is no sender.
void Session::NoteSender(std::string_view helo) {
  const tls::TlsEngine* engine = client_.stream().engine();
  if (helo.empty() && engine == nullptr) return;
  const SenderTable::Ended ended{client_.stream().transport().peer(), helo,
                                 TlsUseOf(engine), failed_handshake(),
                                 state_.messages};
  services_.records.senders.Note(ended, services_.loop.WallNow());
}

}  // namespace tlspost
