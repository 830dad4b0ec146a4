// HandshakeLimit: how many TLS handshakes may be under way, in the whole
// process and for one client address.
//
// A handshake is the dearest thing a stranger can ask for. All workers share
// one object; it is touched once when a handshake begins and once when it
// ends. Knows nothing of TLS.

#ifndef TLSPOST_PROXY_HANDSHAKE_LIMIT_H_
#define TLSPOST_PROXY_HANDSHAKE_LIMIT_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/hash/hash.h"
#include "common/io/endpoint.h"
#include "common/io/network.h"

namespace tlspost {

class HandshakeLimit {
 public:
  // `per_client` does not hold for addresses in `exceptions`.
  HandshakeLimit(int total, int per_client,
                 std::vector<io::Network> exceptions);

  // One handshake's place; destroying it gives the place back.
  class [[nodiscard]] Slot {
   public:
    Slot() = default;
    Slot(HandshakeLimit& limit, const io::AddressBytes* client)
        : limit_(&limit), counted_(client != nullptr) {
      if (counted_) client_ = *client;
    }
    Slot(Slot&& other) noexcept
        : limit_(std::exchange(other.limit_, nullptr)),
          counted_(other.counted_),
          client_(other.client_) {}
    Slot& operator=(Slot&&) = delete;
    ~Slot() {
      if (limit_ != nullptr) limit_->Leave(*this);
    }
    explicit operator bool() const { return limit_ != nullptr; }

   private:
    friend class HandshakeLimit;
    HandshakeLimit* limit_ = nullptr;
    bool counted_ = false;  // against client_
    io::AddressBytes client_{};
  };

  // An empty slot when either limit is reached. Any thread.
  Slot Enter(const io::Endpoint& client);

  int count() const { return count_.load(std::memory_order_relaxed); }

 private:
  // Workers meet in one shard only for clients that hash alike.
  static constexpr size_t kShards = 16;
  struct Shard {
    std::mutex mutex;
    // Never holds a 0.
    std::unordered_map<io::AddressBytes, int, absl::Hash<io::AddressBytes>>
        counts;
  };

  Shard& ShardOf(const io::AddressBytes& client);
  bool CountClient(const io::AddressBytes& client);
  void Leave(const Slot& slot);

  const int total_;
  const int per_client_;
  const std::vector<io::Network> exceptions_;
  std::atomic<int> count_ = 0;
  std::array<Shard, kShards> shards_;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_HANDSHAKE_LIMIT_H_
