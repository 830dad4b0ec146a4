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

io::Endpoint At(std::string_view address) {
  return *io::Endpoint::FromIp(address, 40000);
}

TEST(HandshakeLimit, BoundsAllClientsTogether) {
  HandshakeLimit limit(2, 10, {});
  std::optional<HandshakeLimit::Slot> first(limit.Enter(At("192.0.2.1")));
  const HandshakeLimit::Slot second = limit.Enter(At("192.0.2.2"));
  EXPECT_TRUE(*first);
  EXPECT_TRUE(second);
  EXPECT_FALSE(limit.Enter(At("192.0.2.3")));
  EXPECT_EQ(limit.count(), 2);
  first.reset();
  EXPECT_TRUE(limit.Enter(At("192.0.2.3")));
  EXPECT_EQ(limit.count(), 1);
}

TEST(HandshakeLimit, BoundsOneClientWhateverItsPort) {
  HandshakeLimit limit(100, 1, {});
  const HandshakeLimit::Slot first = limit.Enter(At("192.0.2.1"));
  EXPECT_FALSE(limit.Enter(*io::Endpoint::FromIp("192.0.2.1", 40001)));
  EXPECT_TRUE(limit.Enter(At("192.0.2.2")));
  // What was refused takes up nothing.
  EXPECT_EQ(limit.count(), 1);
}

TEST(HandshakeLimit, ASlash64IsOneClient) {
  HandshakeLimit limit(100, 1, {});
  const HandshakeLimit::Slot first = limit.Enter(At("2001:db8:0:1::1"));
  EXPECT_FALSE(limit.Enter(At("2001:db8:0:1:ffff::2")));
  EXPECT_TRUE(limit.Enter(At("2001:db8:0:2::1")));
}

TEST(HandshakeLimit, Ipv4ClientsOnAnIpv6SocketAreDifferentClients) {
  HandshakeLimit limit(100, 1, {});
  const HandshakeLimit::Slot first = limit.Enter(At("::ffff:192.0.2.1"));
  EXPECT_TRUE(limit.Enter(At("::ffff:192.0.2.2")));
  EXPECT_FALSE(limit.Enter(At("192.0.2.1")));
}

TEST(HandshakeLimit, SparesTheExceptionsButCountsThem) {
  HandshakeLimit limit(3, 1, *io::ParseNetworks({"127.0.0.0/8"}));
  const HandshakeLimit::Slot first = limit.Enter(At("127.0.0.1"));
  const HandshakeLimit::Slot second = limit.Enter(At("127.0.0.1"));
  EXPECT_TRUE(second);
  const HandshakeLimit::Slot third = limit.Enter(At("127.0.0.1"));
  EXPECT_FALSE(limit.Enter(At("127.0.0.1")));
}

TEST(HandshakeLimit, ASlotThatMovedIsGivenBackOnce) {
  HandshakeLimit limit(1, 1, {});
  {
    HandshakeLimit::Slot slot = limit.Enter(At("192.0.2.1"));
    const HandshakeLimit::Slot moved = std::move(slot);
    EXPECT_TRUE(moved);
  }
  EXPECT_EQ(limit.count(), 0);
  EXPECT_TRUE(limit.Enter(At("192.0.2.1")));
}

TEST(HandshakeLimit, HoldsForSeveralThreads) {
  HandshakeLimit limit(1000, 1000, {});
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&limit] {
      for (int round = 0; round < 2000; ++round) {
        const HandshakeLimit::Slot slot = limit.Enter(At("192.0.2.1"));
        EXPECT_TRUE(slot);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(limit.count(), 0);
}

}  // namespace
}  // namespace tlspost
