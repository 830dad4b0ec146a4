// The keys that session tickets are sealed with (RFC 5077, RFC 8446 4.6.1).
//
// One object is shared by all workers, so that each resumes the sessions of
// the others. The newest key seals; the one before it still opens, and its
// tickets are renewed. Keys live in memory only and are wiped when dropped.
// Safe to use from several threads.

#ifndef TLSPOST_COMMON_TLS_TICKET_KEYS_H_
#define TLSPOST_COMMON_TLS_TICKET_KEYS_H_

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>

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
  // Fresh random keys.
  static std::shared_ptr<TicketKeys> Random();

  // A new key seals from now on; the one that sealed until now opens until
  // the next rotation.
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
  TicketKey current_;
  std::optional<TicketKey> previous_;
};

}  // namespace tlspost::tls

#endif  // TLSPOST_COMMON_TLS_TICKET_KEYS_H_
