// ClientLimits: what each client does over all its sessions and all workers,
// and whether that is too much.
//
// One client is an IPv4 address or an IPv6 /64 network, which is the least
// that a single customer is given. Like Postfix's anvil(8), but in process: a
// sharded table whose locks are held for a few stores each. Knows nothing of
// SMTP or TLS and says nothing to anybody.
//
// Its size is bounded without ever being full: a client with a connection has
// an entry, and max_connections bounds those; of those that have left, as many
// as kMaxRemembered are remembered while their time unit lasts, and beyond that
// who left first is forgotten first (some 130 octets each). So a flood of
// addresses may make it forget rates, but never turns a newcomer away.

#ifndef TLSPOST_PROXY_CLIENT_LIMITS_H_
#define TLSPOST_PROXY_CLIENT_LIMITS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "common/io/endpoint.h"
#include "common/io/network.h"
#include "common/io/time.h"
#include "proxy/settings.h"

namespace tlspost {

// What is counted per time unit.
enum class ClientEvent : uint8_t {
  kConnection,
  kMessage,
  kRecipient,
  kNewTlsSession,
  kAuth,
  kError,
};
inline constexpr size_t kClientEvents = 6;

class ClientLimits {
 public:
  static constexpr size_t kMaxRemembered = 65536;

  struct Options {
    int connections = 0;                     // at a time; 0: no limit
    int handshakes = 0;                      // likewise
    std::array<int, kClientEvents> rates{};  // by ClientEvent; 0: no limit
    io::Duration time_unit{};
    std::vector<io::Network> exceptions;  // are not counted at all
    size_t max_remembered = kMaxRemembered;
  };
  // `settings` passed FindSettingsProblem.
  static Options OptionsOf(const Settings& settings);

  explicit ClientLimits(Options options);
  // For what is asked from now on; what was counted stays counted. The size of
  // the memory is the constructor's. Any thread, one at a time.
  void SetOptions(Options options);
  // All visits have ended.
  ~ClientLimits();
  ClientLimits(const ClientLimits&) = delete;
  ClientLimits& operator=(const ClientLimits&) = delete;

 private:
  struct Client;
  struct Shard;

 public:
  // One connection of a client; destroying it ends it. All calls are for the
  // thread that has the connection. An empty one is a client without limits.
  class [[nodiscard]] Visit {
   public:
    Visit() = default;
    Visit(Visit&& other) noexcept
        : client_(std::exchange(other.client_, nullptr)) {}
    Visit& operator=(Visit&& other) noexcept {
      std::swap(client_, other.client_);
      return *this;
    }
    ~Visit() {
      if (client_ != nullptr) Leave(*client_);
    }

    // Counts one more. 0: that is within the limit; else how many there were
    // in this time unit.
    int Count(ClientEvent event, io::Time now);
    // The same about the next one, without counting it.
    int CountNext(ClientEvent event, io::Time now) const;

    // False: as many handshakes of this client are under way as may be.
    [[nodiscard]] bool BeginHandshake();
    // For each one that was begun.
    void EndHandshake();

   private:
    friend class ClientLimits;
    explicit Visit(Client& client) : client_(&client) {}

    Client* client_ = nullptr;
  };

  enum class Verdict : uint8_t {
    kWelcome,
    kTooManyConnections,  // at a time
    kTooOften,            // connections per time unit
    kTooManyErrors,       // in its earlier sessions of this time unit
  };
  struct Arrival {
    Visit visit;
    Verdict verdict = Verdict::kWelcome;
    int count = 0;  // of what is too much
  };
  // One more connection. Who is not welcome is counted all the same, for as
  // long as the caller keeps the visit.
  Arrival Connect(const io::Endpoint& client, io::Time now);

  // Connections that are counted now.
  size_t connections() const;
  // Entries of the table.
  size_t size() const;

 private:
  // Workers meet in one shard only for clients that hash alike.
  static constexpr size_t kShards = 64;

  static void Leave(Client& client);
  Shard& ShardOf(const io::AddressBytes& key) const;
  // The client's count in the time unit that `now` is in. Locked by the caller.
  int& CountOf(Client& client, ClientEvent event, io::Time now) const;
  // 0 unless `count` is over the limit.
  int OverLimit(ClientEvent event, int count) const;
  bool IsOver(const Client& client, io::Time now) const;

  int Limit(ClientEvent event) const {
    return rates_[static_cast<size_t>(event)].load(std::memory_order_relaxed);
  }
  bool IsException(const io::Endpoint& client) const;

  // The options, each by itself: they may change while they are asked for.
  std::atomic<int> connections_limit_ = 0;
  std::atomic<int> handshakes_limit_ = 0;
  std::array<std::atomic<int>, kClientEvents> rates_{};
  std::atomic<io::Duration::rep> time_unit_ = 0;
  std::atomic<bool> remembers_ = false;  // some rate is limited
  mutable std::mutex exceptions_mutex_;
  // Guarded by the mutex.
  std::shared_ptr<const std::vector<io::Network>> exceptions_;
  const size_t max_remembered_;
  const std::unique_ptr<std::array<Shard, kShards>> shards_;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_CLIENT_LIMITS_H_
