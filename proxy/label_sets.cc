// Which label something has.

#include "proxy/label_sets.h"

#include <algorithm>

namespace tlspost {

TlsUse TlsUseOf(const tls::TlsEngine* engine) {
  if (engine == nullptr || !engine->established()) return TlsUse::kNone;
  switch (engine->version()) {
    case 0x0301:
      return TlsUse::kTls10;
    case 0x0302:
      return TlsUse::kTls11;
    case 0x0303:
      return TlsUse::kTls12;
    default:
      return TlsUse::kTls13;
  }
}

std::string_view TlsGroupOf(const TlsDescription& tls) {
  if (!tls.key_exchange_group.empty()) return tls.key_exchange_group;
  return tls.key_exchange.empty() ? "none" : std::string_view(tls.key_exchange);
}

size_t TlsAlertIndex(int code) {
  const auto found = std::find_if(
      kTlsAlerts.begin(), kTlsAlerts.end() - 1,
      [&](const TlsAlertName& alert) { return alert.code == code; });
  return static_cast<size_t>(found - kTlsAlerts.begin());
}

size_t TlsFailureIndex(tls::TlsFailure failure) {
  if (failure == tls::TlsFailure::kNone) {
    failure = tls::TlsFailure::kLostConnection;
  }
  const auto found =
      std::find(kTlsFailures.begin(), kTlsFailures.end() - 1, failure);
  return static_cast<size_t>(found - kTlsFailures.begin());
}

size_t ReplyClassIndex(int code) {
  const int first = code / 100;
  return first >= 2 && first <= 4 ? static_cast<size_t>(first - 2) : 3;
}

size_t ReplyClassIndex(std::string_view reply) {
  return reply.empty() ? 3 : ReplyClassIndex((reply.front() - '0') * 100);
}

}  // namespace tlspost
