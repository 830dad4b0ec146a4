// The keys that session tickets are sealed with (RFC 5077, RFC 8446 4.6.1).
//
// One object is shared by all workers, so that each resumes the sessions of
// the others. The first key seals; the others still open, and what they open is
// renewed. Keys are made here and rotated, or come from a file that replicas
// share. They live in memory only and are wiped when dropped. Safe to use from
// several threads.

#ifndef TLSPOST_COMMON_TLS_TICKET_KEYS_H_
#define TLSPOST_COMMON_TLS_TICKET_KEYS_H_

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace tlspost::tls {

struct TicketKey {
  std::array<uint8_t, 16> name{};  // sent in the clear, finds the key again
  std::array<uint8_t, 32> cipher_key{};
  std::array<uint8_t, 32> mac_key{};

  TicketKey() = default;
  TicketKey(const TicketKey&) = default;
  TicketKey& operator=(const TicketKey&) = default;
  ~TicketKey();  // wipes
};

class TicketKeys {
 public:
  // More are an error: each ticket is looked up among all of them.
  static constexpr size_t kMaxKeys = 16;
  // Of a key in a file: the name, then the AES-256 key, then the HMAC key.
  static constexpr size_t kKeyOctets = 16 + 32 + 32;

  // Fresh random keys.
  static std::shared_ptr<TicketKeys> Random();

  // The keys in `text`: a line for each, kKeyOctets in base64; empty lines and
  // what begins with # are left out. `title` is for the messages.
  static absl::StatusOr<std::vector<TicketKey>> Parse(std::string_view text,
                                                      std::string_view title);

  // The same from a file. That others may read it is a warning, or an error
  // when `strict_permissions`.
  static absl::StatusOr<std::vector<TicketKey>> FromFile(
      const std::string& path, bool strict_permissions,
      std::vector<std::string>* warnings);

  // The first of `keys` seals from now on, all open. At least one, at most
  // kMaxKeys.
  void Replace(std::vector<TicketKey> keys);

  // For keys of our own: a new key seals from now on; the one that sealed until
  // now opens until the next rotation. Called once per session lifetime it
  // keeps every ticket good for that long.
  void Rotate();

  // The key to seal a new ticket with.
  TicketKey Current() const;

  struct Found {
    TicketKey key;
    bool renew = false;  // not the newest: give the client a new ticket
  };
  // The key called `name`; nothing when it is unknown or rotated out.
  std::optional<Found> Find(std::string_view name) const;

 private:
  TicketKeys() = default;

  mutable std::mutex mutex_;
  std::vector<TicketKey> keys_;  // never empty
};

}  // namespace tlspost::tls

#endif  // TLSPOST_COMMON_TLS_TICKET_KEYS_H_
