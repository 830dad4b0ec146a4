// What the labels of metrics may say: lists that are known in advance, so that
// no peer can make a metric grow. What is in no list is "other".
//
// Lists and look-ups only; counts nothing (counter_rows.h does).

#ifndef TLSPOST_PROXY_LABEL_SETS_H_
#define TLSPOST_PROXY_LABEL_SETS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/base/tls_description.h"
#include "common/tls/tls_engine.h"
#include "common/tls/tls_failure.h"

namespace tlspost {

// For a metric that has one label only.
inline constexpr std::array<std::string_view, 1> kNoLabels = {""};

// --- TLS --------------------------------------------------------------------

// How a client's mail came.
enum class TlsUse : uint8_t { kNone, kTls10, kTls11, kTls12, kTls13 };
inline constexpr std::array<std::string_view, 5> kTlsUseLabels = {
    "none", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"};

// Null, or an engine whose handshake was not completed: kNone.
TlsUse TlsUseOf(const tls::TlsEngine* engine);

inline constexpr std::array<std::string_view, 5> kTlsVersionLabels = {
    "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3", "other"};

// OpenSSL's names of what mail clients are seen with.
inline constexpr std::array<std::string_view, 43> kTlsCipherLabels = {
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_128_CCM_SHA256",
    "TLS_AES_128_CCM_8_SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA384",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES256-SHA",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "DHE-RSA-AES256-GCM-SHA384",
    "DHE-RSA-CHACHA20-POLY1305",
    "DHE-RSA-AES128-GCM-SHA256",
    "DHE-RSA-AES256-SHA256",
    "DHE-RSA-AES128-SHA256",
    "DHE-RSA-AES256-SHA",
    "DHE-RSA-AES128-SHA",
    "DHE-RSA-CAMELLIA256-SHA",
    "DHE-RSA-CAMELLIA128-SHA",
    "AECDH-AES256-SHA",
    "AECDH-AES128-SHA",
    "ADH-AES256-GCM-SHA384",
    "ADH-AES128-GCM-SHA256",
    "ADH-AES256-SHA",
    "AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
    "AES256-SHA256",
    "AES128-SHA256",
    "AES256-SHA",
    "AES128-SHA",
    "CAMELLIA256-SHA",
    "CAMELLIA128-SHA",
    "DES-CBC3-SHA",
    "other"};

// "none": no key was exchanged, as when a TLS 1.2 session is resumed or RSA
// carries the secret.
inline constexpr std::array<std::string_view, 14> kTlsGroupLabels = {
    "X25519",     "X448",      "X25519MLKEM768", "SecP256r1MLKEM768",
    "prime256v1", "secp384r1", "secp521r1",      "brainpoolP256r1",
    "ffdhe2048",  "ffdhe3072", "ffdhe4096",      "DHE",
    "none",       "other"};
std::string_view TlsGroupOf(const TlsDescription& tls);

// RFC 8446 section 6 and RFC 5246 section 7.2, by their numbers there.
struct TlsAlertName {
  int code;
  std::string_view name;
};
inline constexpr std::array<TlsAlertName, 28> kTlsAlerts = {{
    {10, "unexpected_message"},
    {20, "bad_record_mac"},
    {21, "decryption_failed"},
    {22, "record_overflow"},
    {40, "handshake_failure"},
    {41, "no_certificate"},
    {42, "bad_certificate"},
    {43, "unsupported_certificate"},
    {44, "certificate_revoked"},
    {45, "certificate_expired"},
    {46, "certificate_unknown"},
    {47, "illegal_parameter"},
    {48, "unknown_ca"},
    {49, "access_denied"},
    {50, "decode_error"},
    {51, "decrypt_error"},
    {70, "protocol_version"},
    {71, "insufficient_security"},
    {80, "internal_error"},
    {86, "inappropriate_fallback"},
    {90, "user_canceled"},
    {100, "no_renegotiation"},
    {109, "missing_extension"},
    {110, "unsupported_extension"},
    {112, "unrecognized_name"},
    {113, "bad_certificate_status_response"},
    {116, "certificate_required"},
    {-1, "other"},
}};
inline constexpr auto kTlsAlertLabels = [] {
  std::array<std::string_view, kTlsAlerts.size()> labels;
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = kTlsAlerts[i].name;
  return labels;
}();
size_t TlsAlertIndex(int code);

inline constexpr std::array<std::string_view, 2> kAlertDirectionLabels = {
    "received", "sent"};

// tls::NameOf of what can go wrong.
inline constexpr std::array<std::string_view, 8> kTlsFailureLabels = {
    "plaintext",      "unsupported_protocol", "nothing_shared",
    "peer_alert",     "lost_connection",      "over_limit",
    "untrusted_peer", "protocol_error"};
inline constexpr std::array<tls::TlsFailure, 8> kTlsFailures = {
    tls::TlsFailure::kPlaintext,      tls::TlsFailure::kUnsupportedProtocol,
    tls::TlsFailure::kNothingShared,  tls::TlsFailure::kPeerAlert,
    tls::TlsFailure::kLostConnection, tls::TlsFailure::kOverLimit,
    tls::TlsFailure::kUntrustedPeer,  tls::TlsFailure::kProtocolError};
// One that took too long, or ended without a reason, is a lost connection.
size_t TlsFailureIndex(tls::TlsFailure failure);

// --- SMTP -------------------------------------------------------------------

// In the order of CommandTally.
inline constexpr std::array<std::string_view, 14> kCommandLabels = {
    "helo", "ehlo", "starttls", "auth", "mail", "rcpt", "data",
    "bdat", "rset", "noop",     "vrfy", "help", "quit", "other"};
inline constexpr std::array<std::string_view, 2> kCommandResultLabels = {
    "ok", "refused"};

inline constexpr std::array<std::string_view, 4> kReplyClassLabels = {
    "2xx", "3xx", "4xx", "5xx"};
// Of a reply, or of its text; what is no reply counts as 5xx.
size_t ReplyClassIndex(int code);
size_t ReplyClassIndex(std::string_view reply);

// What a backend answers to.
enum class BackendStep : uint8_t {
  kGreeting,
  kHello,
  kStartTls,
  kXclient,
  kXforward,
  kAuth,
  kMail,
  kRcpt,
  kData,
  kMessage,  // the end of the data
  kBdat,
  kRset,
  kQuit,
  kOther,
};
inline constexpr std::array<std::string_view, 14> kBackendStepLabels = {
    "greeting", "ehlo", "starttls", "xclient", "xforward", "auth", "mail",
    "rcpt",     "data", "message",  "bdat",    "rset",     "quit", "other"};

// --- time and limits --------------------------------------------------------

// What the time of a mail goes to.
enum class Phase : uint8_t {
  kHandshake,       // with the client
  kBackendConnect,  // until a new connection can be lent, TLS included
  kBackendWait,     // for a connection, which is told of the client
  kBackendMail,     // for the reply to it; so the next ones
  kBackendRcpt,
  kBackendData,
  kBackendMessage,
  kBackendBdat,
  kMessage,  // from MAIL to the reply to the message, if it was accepted
};
inline constexpr std::array<std::string_view, 9> kPhaseLabels = {
    "handshake",       "backend_connect", "backend_wait",
    "backend_mail",    "backend_rcpt",    "backend_data",
    "backend_message", "backend_bdat",    "message"};

// A limit that was reached, by the setting that sets it.
enum class Limit : uint8_t {
  kMaxConnections,
  kClientConnectionCount,
  kClientConnectionRate,
  kClientMessageRate,
  kClientRecipientRate,
  kClientNewTlsSessionRate,
  kClientAuthRate,
  kClientErrorRate,
  kTlsHandshake,
  kTlsHandshakeTimeout,
  kAuthError,
  kHardError,
  kSoftError,
  kRecipient,
  kMessageSize,
  kLineLength,
  kHopcount,
  kCommandTimeout,
  kDataTimeout,
  kPoolWaitTimeout,
  kBackendTimeout,
  kDrainTimeout,
  kStressPercent,
  kGreetWait,
};
inline constexpr std::array<std::string_view, 24> kLimitLabels = {
    "max_connections",
    "client_connection_count_limit",
    "client_connection_rate_limit",
    "client_message_rate_limit",
    "client_recipient_rate_limit",
    "client_new_tls_session_rate_limit",
    "client_auth_rate_limit",
    "client_error_rate_limit",
    "tls_handshake_limit",
    "tls_handshake_timeout",
    "auth_error_limit",
    "hard_error_limit",
    "soft_error_limit",
    "recipient_limit",
    "message_size_limit",
    "line_length_limit",
    "hopcount_limit",
    "command_timeout",
    "data_timeout",
    "pool_wait_timeout",
    "backend_timeout",
    "drain_timeout",
    "stress_percent",
    "greet_wait"};

// The place of `name` among `labels`, whose last one stands for all others.
template <size_t kSize>
size_t LabelIndex(const std::array<std::string_view, kSize>& labels,
                  std::string_view name) {
  size_t index = 0;
  while (index + 1 < kSize && labels[index] != name) ++index;
  return index;
}

}  // namespace tlspost

#endif  // TLSPOST_PROXY_LABEL_SETS_H_
