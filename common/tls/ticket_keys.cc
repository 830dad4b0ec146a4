#include "common/tls/ticket_keys.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <cstring>

#include "common/base/check.h"

namespace tlspost::tls {
namespace {

template <size_t kSize>
void FillRandom(std::array<uint8_t, kSize>& out) {
  // Without randomness there is no TLS at all; there is nothing to fall back
  // to, and predictable ticket keys would open every recorded session.
  TLSPOST_CHECK(RAND_priv_bytes(out.data(), out.size()) == 1);
}

TicketKey NewKey() {
  TicketKey key;
  FillRandom(key.name);
  FillRandom(key.cipher_key);
  FillRandom(key.mac_key);
  return key;
}

bool HasName(const TicketKey& key, std::string_view name) {
  return name.size() == key.name.size() &&
         std::memcmp(name.data(), key.name.data(), name.size()) == 0;
}

}  // namespace

TicketKey::~TicketKey() {
  OPENSSL_cleanse(cipher_key.data(), cipher_key.size());
  OPENSSL_cleanse(mac_key.data(), mac_key.size());
}

std::shared_ptr<TicketKeys> TicketKeys::Random() {
  std::shared_ptr<TicketKeys> keys(new TicketKeys);
  keys->current_ = NewKey();
  return keys;
}

void TicketKeys::Rotate() {
  const TicketKey fresh = NewKey();
  const std::lock_guard<std::mutex> lock(mutex_);
  previous_ = current_;
  current_ = fresh;
}

TicketKey TicketKeys::Current() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return current_;
}

std::optional<TicketKeys::Found> TicketKeys::Find(std::string_view name) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (HasName(current_, name)) return Found{current_, false};
  if (previous_.has_value() && HasName(*previous_, name)) {
    return Found{*previous_, true};
  }
  return std::nullopt;
}

}  // namespace tlspost::tls
