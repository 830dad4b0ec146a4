// Counting handshakes.

#include "proxy/handshake_limit.h"

#include <algorithm>

#include "common/base/check.h"

namespace tlspost {
namespace {

// What counts as one client: an IPv4 address, or an IPv6 /64, which is the
// least that a single customer is given.
io::AddressBytes ClientKey(const io::Endpoint& client) {
  static const io::Network kMappedV4 = *io::Network::Parse("::ffff:0:0/96");
  io::AddressBytes key = io::BytesOf(client);
  if (!kMappedV4.Contains(key)) {
    std::fill(key.begin() + 8, key.end(), uint8_t{0});
  }
  return key;
}

}  // namespace

HandshakeLimit::HandshakeLimit(int total, int per_client,
                               std::vector<io::Network> exceptions)
    : total_(total),
      per_client_(per_client),
      exceptions_(std::move(exceptions)) {}

HandshakeLimit::Slot HandshakeLimit::Enter(const io::Endpoint& client) {
  if (count_.fetch_add(1, std::memory_order_relaxed) >= total_) {
    count_.fetch_sub(1, std::memory_order_relaxed);
    return Slot();
  }
  if (io::AnyContains(exceptions_, client)) return Slot(*this, nullptr);
  const io::AddressBytes key = ClientKey(client);
  if (CountClient(key)) return Slot(*this, &key);
  count_.fetch_sub(1, std::memory_order_relaxed);
  return Slot();
}

HandshakeLimit::Shard& HandshakeLimit::ShardOf(const io::AddressBytes& client) {
  return shards_[absl::Hash<io::AddressBytes>()(client) % kShards];
}

bool HandshakeLimit::CountClient(const io::AddressBytes& client) {
  Shard& shard = ShardOf(client);
  const std::lock_guard<std::mutex> lock(shard.mutex);
  const auto found = shard.counts.find(client);
  if (found == shard.counts.end()) {
    shard.counts.emplace(client, 1);
    return true;
  }
  if (found->second >= per_client_) return false;
  ++found->second;
  return true;
}

void HandshakeLimit::Leave(const Slot& slot) {
  count_.fetch_sub(1, std::memory_order_relaxed);
  if (!slot.counted_) return;
  Shard& shard = ShardOf(slot.client_);
  const std::lock_guard<std::mutex> lock(shard.mutex);
  const auto found = shard.counts.find(slot.client_);
  TLSPOST_CHECK(found != shard.counts.end());
  if (--found->second == 0) shard.counts.erase(found);
}

}  // namespace tlspost
