#include "common/tls/tls_trace.h"

#include <openssl/ssl.h>

#include <string>

#include "common/tls/tls_wire.h"

namespace tlspost::tls {
namespace {

std::string Alert(int where, int alert) {
  const char* way = (where & SSL_CB_READ) != 0 ? "read" : "write";
  return std::string("SSL3 alert ") + way + ":" +
         SSL_alert_type_string_long(alert) + ":" +
         SSL_alert_desc_string_long(alert);
}

// What is worth a line; "" for the rest. OpenSSL reports a call that only
// waits for more input as if it had failed.
std::string Words(const SSL* ssl, int where, int value) {
  if ((where & SSL_CB_ALERT) != 0) {
    const bool close_notify = (value & 0xff) == SSL_AD_CLOSE_NOTIFY;
    return close_notify ? "" : Alert(where, value);
  }
  const char* call = "unknown";
  if ((where & SSL_ST_ACCEPT) != 0) call = "SSL_accept";
  if ((where & SSL_ST_CONNECT) != 0) call = "SSL_connect";
  const std::string state = SSL_state_string_long(ssl);
  if ((where & SSL_CB_LOOP) != 0) return std::string(call) + ":" + state;
  if ((where & SSL_CB_EXIT) == 0 || value > 0) return "";
  if (value == 0) return std::string(call) + ":failed in " + state;
  if (SSL_want(ssl) != SSL_NOTHING) return "";
  return std::string(call) + ":error in " + state;
}

void OnInfo(const SSL* ssl, int where, int value) {
  const TlsWire* wire = WireOf(ssl);
  if (wire == nullptr || wire->trace == nullptr) return;
  const std::string words = Words(ssl, where, value);
  if (!words.empty()) wire->trace->State(words);
}

}  // namespace

void TraceStates(SSL* ssl, bool on) {
  SSL_set_info_callback(ssl, on ? &OnInfo : nullptr);
}

}  // namespace tlspost::tls
