// Limits of handshakes: in total, for a client, and whom they spare.

#include "proxy/handshake_limit.h"

#include <gtest/gtest.h>

#include <optional>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace tlspost {
namespace {

// One connection of a client, and its handshake.
struct Client {
  Client(ClientLimits& clients, HandshakeLimit& limit, std::string_view address)
      : visit(clients.Connect(*io::Endpoint::FromIp(address, 40000), io::Time())
                  .visit),
        slot(limit.Enter(visit)) {}

  explicit operator bool() const { return static_cast<bool>(slot); }

  ClientLimits::Visit visit;
  HandshakeLimit::Slot slot;
};

ClientLimits::Options Handshakes(int per_client) {
  ClientLimits::Options options;
  options.handshakes = per_client;
  return options;
}

TEST(HandshakeLimit, BoundsAllClientsTogether) {
  ClientLimits clients(Handshakes(10));
  HandshakeLimit limit(2);
  std::optional<Client> first;
  first.emplace(clients, limit, "192.0.2.1");
  const Client second(clients, limit, "192.0.2.2");
  EXPECT_TRUE(*first);
  EXPECT_TRUE(second);
  EXPECT_FALSE(Client(clients, limit, "192.0.2.3"));
  EXPECT_EQ(limit.count(), 2);
  first.reset();
  EXPECT_TRUE(Client(clients, limit, "192.0.2.3"));
  EXPECT_EQ(limit.count(), 1);
}

TEST(HandshakeLimit, BoundsOneClient) {
  ClientLimits clients(Handshakes(1));
  HandshakeLimit limit(100);
  const Client first(clients, limit, "192.0.2.1");
  EXPECT_FALSE(Client(clients, limit, "192.0.2.1"));
  EXPECT_TRUE(Client(clients, limit, "192.0.2.2"));
  // What was refused takes up nothing.
  EXPECT_EQ(limit.count(), 1);
}

TEST(HandshakeLimit, SparesTheExceptionsButCountsThem) {
  ClientLimits::Options options = Handshakes(1);
  options.exceptions = *io::ParseNetworks({"127.0.0.0/8"});
  ClientLimits clients(options);
  HandshakeLimit limit(3);
  const Client first(clients, limit, "127.0.0.1");
  const Client second(clients, limit, "127.0.0.1");
  EXPECT_TRUE(second);
  const Client third(clients, limit, "127.0.0.1");
  EXPECT_FALSE(Client(clients, limit, "127.0.0.1"));
}

TEST(HandshakeLimit, ASlotThatMovedIsGivenBackOnce) {
  ClientLimits clients(Handshakes(1));
  HandshakeLimit limit(1);
  {
    Client client(clients, limit, "192.0.2.1");
    const HandshakeLimit::Slot moved = std::move(client.slot);
    EXPECT_TRUE(moved);
  }
  EXPECT_EQ(limit.count(), 0);
  EXPECT_TRUE(Client(clients, limit, "192.0.2.1"));
}

TEST(HandshakeLimit, HoldsForSeveralThreads) {
  ClientLimits clients(Handshakes(1000));
  HandshakeLimit limit(1000);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 2000; ++round) {
        const Client client(clients, limit, "192.0.2.1");
        EXPECT_TRUE(client);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(limit.count(), 0);
}

TEST(HandshakeLimit, AnotherTotalHoldsForTheNext) {
  ClientLimits clients(Handshakes(10));
  HandshakeLimit limit(1);
  const Client first(clients, limit, "192.0.2.1");
  EXPECT_FALSE(Client(clients, limit, "192.0.2.2"));
  limit.SetTotal(2);
  const Client second(clients, limit, "192.0.2.2");
  EXPECT_TRUE(second);
  limit.SetTotal(1);
  EXPECT_FALSE(Client(clients, limit, "192.0.2.3"));
  EXPECT_EQ(limit.count(), 2);
}

}  // namespace
}  // namespace tlspost
