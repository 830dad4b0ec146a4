// The objects of log_format = json, and the end of a session in the log.

#include "proxy/session_log.h"

#include <chrono>
#include <optional>
#include <string>

#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "common/smtp/tls_summary.h"
#include "proxy/session.h"

namespace tlspost {
namespace {

std::string Hex(std::string_view octets) {
  std::string text;
  for (const char octet : octets) {
    text += absl::StrFormat("%02X", static_cast<unsigned char>(octet));
  }
  return text;
}

// "2027-01-31T12:00:00Z"
std::string FormatIsoTime(int64_t seconds) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromUnixSeconds(seconds),
                          absl::UTCTimeZone());
}

}  // namespace

void AddClient(const ClientChannel& client, const ClientState& state,
               LogRecord& record) {
  const io::Stream& stream = client.stream().transport();
  const io::PeerName* name = stream.peer_name();
  record.Text("client", stream.peer().Address());
  if (name != nullptr) record.TextIfAny("client_name", name->name);
  record.TextIfAny("helo", state.helo);
  record.Flag("esmtp", state.esmtp);
  if (!state.authenticated()) return;
  record.Text("sasl_method", state.authentication->method());
  record.TextIfAny("sasl_username", state.authentication->user_name());
}

void AddTls(const ClientChannel& client, LogRecord& record) {
  const tls::TlsEngine* engine = client.stream().engine();
  if (engine == nullptr || !engine->established()) return;
  const TlsDescription tls = engine->Describe();
  record.Text("tls_protocol", tls.protocol)
      .Text("tls_cipher", tls.cipher)
      .Number("tls_bits", static_cast<uint64_t>(tls.used_bits))
      .TextIfAny("tls_group", tls.key_exchange_group.empty()
                                  ? tls.key_exchange
                                  : tls.key_exchange_group)
      .TextIfAny("tls_signature", tls.server_signature.algorithm)
      .Flag("tls_resumed", tls.reused)
      .TextIfAny("sni", tls.sni)
      .Text("trust", smtp::TrustWord(tls.peer_certificate))
      .TextIfAny("client_certificate", tls.peer_cn)
      .TextIfAny("client_certificate_issuer", tls.peer_issuer_cn);
  const std::optional<tls::CertificateFacts> served =
      engine->ServedCertificate();
  if (!served.has_value()) return;
  record.Text("certificate", served->name)
      .Text("certificate_key", served->key)
      .Text("certificate_not_after", FormatIsoTime(served->not_after_s))
      .Text("certificate_sha256", Hex(served->fingerprint));
}

uint32_t Session::MillisecondsOf(io::Time time) {
  return static_cast<uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(
          time.time_since_epoch())
          .count());
}

void Session::LogDisconnect() {
  client_.TraceEvent("disconnected");
  if (!services_.log.takes_records()) {
    services_.log.Info(absl::StrFormat("disconnect from %s %s", Peer(),
                                       state_.tally.Summary()));
    return;
  }
  LogRecord record("session");
  AddClient(client_, state_, record);
  AddTls(client_, record);
  record.Number("messages", state_.messages)
      .Number("errors", state_.errors)
      .Text("commands", state_.tally.Summary())
      .Seconds("duration",
               (MillisecondsOf(services_.loop.Now()) - started_ms_) / 1000.0);
  services_.log.Record(record.fields());
}

}  // namespace tlspost
