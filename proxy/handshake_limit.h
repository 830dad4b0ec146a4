// HandshakeLimit: how many TLS handshakes may be under way, in the whole
// process and for one client.
//
// A handshake is the dearest thing a stranger can ask for. All workers share
// one object; it is touched once when a handshake begins and once when it
// ends. Knows nothing of TLS; the clients' own counts are in ClientLimits.

#ifndef TLSPOST_PROXY_HANDSHAKE_LIMIT_H_
#define TLSPOST_PROXY_HANDSHAKE_LIMIT_H_

#include <atomic>
#include <utility>

#include "proxy/client_limits.h"

namespace tlspost {

class HandshakeLimit {
 public:
  explicit HandshakeLimit(int total) : total_(total) {}

  // For handshakes that begin from now on. Any thread.
  void SetTotal(int total) { total_.store(total, std::memory_order_relaxed); }

  // One handshake's place; destroying it gives the place back.
  class [[nodiscard]] Slot {
   public:
    Slot() = default;
    Slot(HandshakeLimit& limit, ClientLimits::Visit& client)
        : limit_(&limit), client_(&client) {}
    Slot(Slot&& other) noexcept
        : limit_(std::exchange(other.limit_, nullptr)),
          client_(other.client_) {}
    Slot& operator=(Slot&&) = delete;
    ~Slot() {
      if (limit_ == nullptr) return;
      limit_->count_.fetch_sub(1, std::memory_order_relaxed);
      client_->EndHandshake();
    }
    explicit operator bool() const { return limit_ != nullptr; }

   private:
    HandshakeLimit* limit_ = nullptr;
    ClientLimits::Visit* client_ = nullptr;
  };

  // An empty slot when either limit is reached. Any thread; `client` outlives
  // the slot.
  Slot Enter(ClientLimits::Visit& client) {
    const int before = count_.fetch_add(1, std::memory_order_relaxed);
    const bool has_room = before < total_.load(std::memory_order_relaxed);
    if (has_room && client.BeginHandshake()) return Slot(*this, client);
    count_.fetch_sub(1, std::memory_order_relaxed);
    return Slot();
  }

  // At least half of the places are taken.
  bool is_crowded() const {
    return 2 * count() >= total_.load(std::memory_order_relaxed);
  }
  int count() const { return count_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int> total_;
  std::atomic<int> count_ = 0;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_HANDSHAKE_LIMIT_H_
