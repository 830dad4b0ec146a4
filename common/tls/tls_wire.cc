#include "common/tls/tls_wire.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "common/base/check.h"
#include "common/base/spare_string.h"
#include "common/tls/tls_engine.h"

namespace tlspost::tls {
namespace {

// The octets that libssl may read now.
size_t Allowed(const TlsWire& wire) {
  if (wire.over_limit) return 0;
  return wire.handshake_done ? std::numeric_limits<size_t>::max()
                             : wire.read_budget;
}

int ReadWire(BIO* bio, char* out, size_t capacity, size_t* got) {
  BIO_clear_retry_flags(bio);
  *got = 0;
  TlsWire& wire = *static_cast<TlsWire*>(BIO_get_data(bio));
  if (wire.input->empty()) {
    BIO_set_retry_read(bio);
    return 0;
  }
  const size_t allowed = Allowed(wire);
  if (allowed == 0) {
    wire.over_limit = true;
    return 0;  // without the retry flag: an error
  }
  const size_t size = std::min({wire.input->size(), capacity, allowed});
  if (!wire.saw_input) {
    wire.saw_input = true;
    wire.first_octet = static_cast<uint8_t>(wire.input->front());
  }
  std::memcpy(out, wire.input->data(), size);
  if (wire.trace != nullptr) wire.trace->Wire(false, {out, size});
  wire.input->remove_prefix(size);
  if (!wire.handshake_done) wire.read_budget -= static_cast<uint32_t>(size);
  *got = size;
  return 1;
}

int WriteWire(BIO* bio, const char* data, size_t size, size_t* taken) {
  BIO_clear_retry_flags(bio);
  TlsWire& wire = *static_cast<TlsWire*>(BIO_get_data(bio));
  TLSPOST_CHECK(wire.output.size() <= kWireOutputLimit);
  *taken = std::min(size, kWireOutputLimit - wire.output.size());
  if (*taken == 0) {
    BIO_set_retry_write(bio);
    return 0;
  }
  if (wire.output.empty()) wire.output = TakeSpareString();
  wire.output.append(data, *taken);
  if (wire.trace != nullptr) wire.trace->Wire(true, {data, *taken});
  if (!wire.answered) {
    // The first flight is out: a ClientHello of an allowed size was read (or
    // it is ours), and the rest of the handshake may now come.
    wire.answered = true;
    wire.read_budget = TlsEngine::kMaxHandshakeOctets;
  }
  return 1;
}

long ControlWire(BIO*, int command, long, void*) {
  // libssl flushes after each flight and asks for nothing else.
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

int CreateWire(BIO* bio) {
  BIO_set_init(bio, 1);
  return 1;
}

const BIO_METHOD* WireMethod() {
  static const BIO_METHOD* const kMethod = [] {
    BIO_METHOD* method =
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "tlspost");
    TLSPOST_CHECK(method != nullptr);
    BIO_meth_set_read_ex(method, &ReadWire);
    BIO_meth_set_write_ex(method, &WriteWire);
    BIO_meth_set_ctrl(method, &ControlWire);
    BIO_meth_set_create(method, &CreateWire);
    return method;
  }();
  return kMethod;
}

void CountControlMessage(TlsWire& wire) {
  wire.control_credit -=
      static_cast<int64_t>(TlsEngine::kOctetsPerControlMessage);
  if (wire.control_credit < 0) wire.over_limit = true;
}

// Sees every record header, handshake message and alert. A KeyUpdate counts
// when it arrives, a renegotiation when it is refused: that is the same for
// both roles.
void OnMessage(int is_write, int, int content_type, const void* data,
               size_t size, SSL* ssl, void*) {
  constexpr int kRefused = SSL_AD_NO_RENEGOTIATION;
  TlsWire* wire = WireOf(ssl);
  if (wire == nullptr) return;
  const uint8_t* octets = static_cast<const uint8_t*>(data);
  const bool alert = content_type == SSL3_RT_ALERT && size > 1 &&
                     octets[1] != SSL_AD_CLOSE_NOTIFY;
  if (alert) {
    (is_write != 0 ? wire->alert_sent : wire->alert_received) = octets[1];
  }
  if (!wire->handshake_done) return;
  const bool key_update = is_write == 0 && content_type == SSL3_RT_HANDSHAKE &&
                          size > 0 && octets[0] == SSL3_MT_KEY_UPDATE;
  const bool refusal = is_write != 0 && content_type == SSL3_RT_ALERT &&
                       size > 1 && octets[1] == kRefused;
  if (key_update || refusal) CountControlMessage(*wire);
}

}  // namespace

BioHandle NewWireBio(OSSL_LIB_CTX* library, TlsWire* wire) {
  BioHandle bio(BIO_new_ex(library, WireMethod()));
  TLSPOST_CHECK(bio != nullptr);
  BIO_set_data(bio.get(), wire);
  return bio;
}

TlsWire* WireOf(const SSL* ssl) {
  BIO* bio = SSL_get_rbio(ssl);
  return bio == nullptr ? nullptr : static_cast<TlsWire*>(BIO_get_data(bio));
}

void WatchWire(SSL_CTX* context) {
  SSL_CTX_set_msg_callback(context, &OnMessage);
}

}  // namespace tlspost::tls
