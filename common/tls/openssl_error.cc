#include "common/tls/openssl_error.h"

#include <openssl/err.h>

namespace tlspost::tls {
namespace {

// The oldest error of the queue, taken from it; false when it is empty.
bool Next(OpenSslError* out) {
  const char* file = nullptr;
  const char* data = nullptr;
  int line = 0;
  int flags = 0;
  const auto code = ERR_get_error_all(&file, &line, nullptr, &data, &flags);
  if (code == 0) return false;
  char text[256];
  ERR_error_string_n(code, text, sizeof(text));
  out->text = std::string(text) + ":" + (file != nullptr ? file : "") + ":" +
              std::to_string(line) + ":";
  if ((flags & ERR_TXT_STRING) != 0 && data != nullptr && *data != '\0') {
    out->text += std::string(data) + ":";
  }
  const char* reason = ERR_reason_error_string(code);
  if (reason != nullptr) out->reason = reason;
  if (ERR_GET_LIB(code) == ERR_LIB_SSL) out->ssl_reason = ERR_GET_REASON(code);
  return true;
}

}  // namespace

void ClearOpenSslErrors() { ERR_clear_error(); }

OpenSslError TakeOpenSslError() {
  OpenSslError oldest;
  if (!Next(&oldest)) return oldest;
  // libcrypto may have failed first; libssl's error says what that meant.
  OpenSslError chosen = oldest;
  while (chosen.ssl_reason == 0) {
    OpenSslError later;
    if (!Next(&later)) return oldest;
    chosen = later;
  }
  ERR_clear_error();
  return chosen;
}

}  // namespace tlspost::tls
