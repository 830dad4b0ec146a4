// The table of clients: who is one client, what is counted, what is forgotten.

#include "proxy/client_limits.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"

namespace tlspost {
namespace {

using std::chrono_literals::operator""s;
using Verdict = ClientLimits::Verdict;

constexpr io::Time kOpening = io::Time(1000s);

io::Endpoint ClientAt(std::string_view address, int port = 40000) {
  return *io::Endpoint::FromIp(address, static_cast<uint16_t>(port));
}

ClientLimits::Options Limits(int connections) {
  ClientLimits::Options options;
  options.connections = connections;
  options.handshakes = 100;
  options.time_unit = 60s;
  return options;
}

ClientLimits::Options Rate(ClientEvent event, int rate) {
  ClientLimits::Options options = Limits(0);
  options.rates[static_cast<size_t>(event)] = rate;
  return options;
}

TEST(ClientLimits, E114OneClientHasSoManyConnections) {
  ClientLimits limits(Limits(2));
  auto first = limits.Connect(ClientAt("192.0.2.1", 1), kOpening);
  const auto second = limits.Connect(ClientAt("192.0.2.1", 2), kOpening);
  EXPECT_EQ(first.verdict, Verdict::kWelcome);
  EXPECT_EQ(second.verdict, Verdict::kWelcome);
  {
    const auto third = limits.Connect(ClientAt("192.0.2.1", 3), kOpening);
    EXPECT_EQ(third.verdict, Verdict::kTooManyConnections);
    EXPECT_EQ(third.count, 3);
  }
  EXPECT_EQ(limits.Connect(ClientAt("192.0.2.2"), kOpening).verdict,
            Verdict::kWelcome);
  first.visit = ClientLimits::Visit();
  EXPECT_EQ(limits.Connect(ClientAt("192.0.2.1"), kOpening).verdict,
            Verdict::kWelcome);
}

TEST(ClientLimits, ASlash64IsOneClient) {
  ClientLimits limits(Limits(1));
  const auto first = limits.Connect(ClientAt("2001:db8:0:1::1"), kOpening);
  EXPECT_EQ(limits.Connect(ClientAt("2001:db8:0:1:ffff::2"), kOpening).verdict,
            Verdict::kTooManyConnections);
  EXPECT_EQ(limits.Connect(ClientAt("2001:db8:0:2::1"), kOpening).verdict,
            Verdict::kWelcome);
}

TEST(ClientLimits, Ipv4ClientsOnAnIpv6SocketAreDifferentClients) {
  ClientLimits limits(Limits(1));
  const auto first = limits.Connect(ClientAt("::ffff:192.0.2.1"), kOpening);
  EXPECT_EQ(limits.Connect(ClientAt("::ffff:192.0.2.2"), kOpening).verdict,
            Verdict::kWelcome);
  EXPECT_EQ(limits.Connect(ClientAt("192.0.2.1"), kOpening).verdict,
            Verdict::kTooManyConnections);
}

TEST(ClientLimits, ExceptionsAreNotCounted) {
  ClientLimits::Options options = Rate(ClientEvent::kMessage, 1);
  options.connections = 1;
  options.exceptions = *io::ParseNetworks({"192.0.2.0/24"});
  ClientLimits limits(options);
  auto first = limits.Connect(ClientAt("192.0.2.1"), kOpening);
  const auto second = limits.Connect(ClientAt("192.0.2.1"), kOpening);
  EXPECT_EQ(second.verdict, Verdict::kWelcome);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(first.visit.Count(ClientEvent::kMessage, kOpening), 0);
  }
  EXPECT_EQ(limits.size(), 0u);
}

TEST(ClientLimits, ARateIsOverAllConnectionsAndStartsAnewWithItsTimeUnit) {
  ClientLimits limits(Rate(ClientEvent::kRecipient, 3));
  auto one = limits.Connect(ClientAt("192.0.2.1"), kOpening);
  auto other = limits.Connect(ClientAt("192.0.2.1"), kOpening);
  EXPECT_EQ(one.visit.Count(ClientEvent::kRecipient, kOpening), 0);
  EXPECT_EQ(other.visit.Count(ClientEvent::kRecipient, kOpening + 1s), 0);
  EXPECT_EQ(one.visit.Count(ClientEvent::kRecipient, kOpening + 2s), 0);
  EXPECT_EQ(other.visit.Count(ClientEvent::kRecipient, kOpening + 3s), 4);
  EXPECT_EQ(one.visit.Count(ClientEvent::kRecipient, kOpening + 59s), 5);
  EXPECT_EQ(one.visit.Count(ClientEvent::kRecipient, kOpening + 60s), 0);
  // What has no rate is never too much.
  EXPECT_EQ(one.visit.Count(ClientEvent::kMessage, kOpening), 0);
}

TEST(ClientLimits, TheNextOneIsJudgedWithoutBeingCounted) {
  ClientLimits limits(Rate(ClientEvent::kNewTlsSession, 1));
  auto client = limits.Connect(ClientAt("192.0.2.1"), kOpening);
  EXPECT_EQ(client.visit.CountNext(ClientEvent::kNewTlsSession, kOpening), 0);
  EXPECT_EQ(client.visit.CountNext(ClientEvent::kNewTlsSession, kOpening), 0);
  EXPECT_EQ(client.visit.Count(ClientEvent::kNewTlsSession, kOpening), 0);
  EXPECT_EQ(client.visit.CountNext(ClientEvent::kNewTlsSession, kOpening), 2);
  EXPECT_EQ(client.visit.CountNext(ClientEvent::kNewTlsSession, kOpening + 60s),
            0);
}

TEST(ClientLimits, ARateOutlastsTheConnection) {
  ClientLimits limits(Rate(ClientEvent::kConnection, 2));
  EXPECT_EQ(limits.Connect(ClientAt("192.0.2.1"), kOpening).verdict,
            Verdict::kWelcome);
  EXPECT_EQ(limits.Connect(ClientAt("192.0.2.1"), kOpening).verdict,
            Verdict::kWelcome);
  const auto third = limits.Connect(ClientAt("192.0.2.1"), kOpening + 59s);
  EXPECT_EQ(third.verdict, Verdict::kTooOften);
  EXPECT_EQ(third.count, 3);
  EXPECT_EQ(limits.Connect(ClientAt("192.0.2.1"), kOpening + 60s).verdict,
            Verdict::kWelcome);
}

TEST(ClientLimits, E116ErrorsOfEarlierSessionsCloseTheDoor) {
  ClientLimits limits(Rate(ClientEvent::kError, 5));
  {
    auto client = limits.Connect(ClientAt("192.0.2.1"), kOpening);
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(client.visit.Count(ClientEvent::kError, kOpening), 0);
    }
    EXPECT_EQ(client.visit.Count(ClientEvent::kError, kOpening), 6);
  }
  EXPECT_EQ(limits.Connect(ClientAt("192.0.2.1"), kOpening).verdict,
            Verdict::kTooManyErrors);
  EXPECT_EQ(limits.Connect(ClientAt("192.0.2.1"), kOpening + 60s).verdict,
            Verdict::kWelcome);
}

TEST(ClientLimits, HandshakesUnderWayAreBounded) {
  ClientLimits::Options options = Limits(0);
  options.handshakes = 1;
  ClientLimits limits(options);
  auto one = limits.Connect(ClientAt("192.0.2.1"), kOpening);
  auto other = limits.Connect(ClientAt("192.0.2.1"), kOpening);
  EXPECT_TRUE(one.visit.BeginHandshake());
  EXPECT_FALSE(other.visit.BeginHandshake());
  one.visit.EndHandshake();
  EXPECT_TRUE(other.visit.BeginHandshake());
  other.visit.EndHandshake();
}

// --- memory -----------------------------------------------------------------

TEST(ClientLimits, RemembersNobodyWithoutARate) {
  ClientLimits limits(Limits(10));
  for (int i = 0; i < 100; ++i) {
    const auto client =
        limits.Connect(ClientAt(absl::StrFormat("192.0.2.%d", i)), kOpening);
    EXPECT_EQ(limits.size(), 1u);
  }
  EXPECT_EQ(limits.size(), 0u);
}

TEST(ClientLimits, ForgetsWhoLeftFirstButNeverWhoIsHere) {
  ClientLimits::Options options = Rate(ClientEvent::kConnection, 1);
  options.max_remembered = 64;
  ClientLimits limits(options);
  const auto here = limits.Connect(ClientAt("198.51.100.1"), kOpening);
  std::string last;
  for (int i = 0; i < 20000; ++i) {
    last = absl::StrFormat("10.%d.%d.1", i / 250, i % 250);
    EXPECT_EQ(limits.Connect(ClientAt(last), kOpening).verdict,
              Verdict::kWelcome);
    ASSERT_LE(limits.size(), 64u + 1);
  }
  // Who came last is remembered, who came first is not, who stays is.
  EXPECT_EQ(limits.Connect(ClientAt(last), kOpening).verdict,
            Verdict::kTooOften);
  EXPECT_EQ(limits.Connect(ClientAt("10.0.0.1"), kOpening).verdict,
            Verdict::kWelcome);
  EXPECT_EQ(limits.Connect(ClientAt("198.51.100.1"), kOpening).verdict,
            Verdict::kTooOften);
}

TEST(ClientLimits, WhatIsOverIsForgottenByAndBy) {
  ClientLimits limits(Rate(ClientEvent::kMessage, 1));
  for (int i = 0; i < 5000; ++i) {
    const auto client = limits.Connect(
        ClientAt(absl::StrFormat("10.%d.%d.1", i / 250, i % 250)), kOpening);
  }
  EXPECT_EQ(limits.size(), 5000u);
  for (int i = 0; i < 5000; ++i) {
    const auto client = limits.Connect(
        ClientAt(absl::StrFormat("10.200.%d.%d", i / 250, i % 250)),
        kOpening + 60s);
  }
  // Only the new ones, each a shard's at most four at a time.
  EXPECT_LE(limits.size(), 5000u + 64u * 4u);
}

// --- threads ----------------------------------------------------------------

// Eight threads come and go as twenty clients; in the end all is balanced, and
// no limit was passed at any moment.
TEST(ClientLimits, HoldsForSeveralThreads) {
  constexpr int kClients = 20;
  constexpr int kMost = 3;
  ClientLimits::Options options = Rate(ClientEvent::kMessage, 1'000'000);
  options.connections = kMost;
  options.handshakes = 2;
  options.max_remembered = 64;
  ClientLimits limits(options);
  std::array<std::atomic<int>, kClients> inside{};
  std::array<std::atomic<int>, kClients> shaking{};
  std::atomic<int> welcome = 0;
  std::atomic<int> passed = 0;
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < 8; ++seed) {
    threads.emplace_back([&, seed] {
      std::mt19937 random(seed);
      std::vector<std::pair<size_t, ClientLimits::Visit>> held;
      for (int round = 0; round < 4000; ++round) {
        const size_t number = random() % kClients;
        const io::Time now =
            kOpening + io::Duration(int64_t{round} * 100'000'000);
        auto arrival = limits.Connect(
            ClientAt(absl::StrFormat("192.0.2.%d", number + 1)), now);
        if (arrival.verdict == Verdict::kWelcome) {
          ++welcome;
          if (++inside[number] > kMost) ++passed;
          arrival.visit.Count(ClientEvent::kMessage, now);
          if (arrival.visit.BeginHandshake()) {
            if (++shaking[number] > 2) ++passed;
            --shaking[number];
            arrival.visit.EndHandshake();
          }
          held.emplace_back(number, std::move(arrival.visit));
        }
        if (held.size() > 4) {
          --inside[held.front().first];
          held.erase(held.begin());
        }
      }
      for (const auto& [number, visit] : held) --inside[number];
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(passed, 0);
  EXPECT_GT(welcome, 4000);
  EXPECT_EQ(limits.connections(), 0u);
  EXPECT_LE(limits.size(), 64u);
}

TEST(ClientLimits, OtherOptionsHoldFromTheNextQuestion) {
  ClientLimits limits(Limits(0));
  auto first = limits.Connect(ClientAt("192.0.2.1", 1), kOpening);
  auto second = limits.Connect(ClientAt("192.0.2.1", 2), kOpening);
  EXPECT_EQ(second.verdict, Verdict::kWelcome);
  // Nothing was counted without a rate; from here on it is.
  EXPECT_EQ(first.visit.Count(ClientEvent::kMessage, kOpening), 0);
  limits.SetOptions(Rate(ClientEvent::kMessage, 1));
  EXPECT_EQ(first.visit.Count(ClientEvent::kMessage, kOpening), 0);
  EXPECT_EQ(second.visit.Count(ClientEvent::kMessage, kOpening), 2);
  limits.SetOptions(Limits(2));
  EXPECT_EQ(second.visit.Count(ClientEvent::kMessage, kOpening), 0);
  EXPECT_EQ(limits.Connect(ClientAt("192.0.2.1", 3), kOpening).verdict,
            Verdict::kTooManyConnections);
  ClientLimits::Options spared = Limits(2);
  spared.exceptions = *io::ParseNetworks({"192.0.2.0/24"});
  limits.SetOptions(spared);
  EXPECT_EQ(limits.Connect(ClientAt("192.0.2.1", 4), kOpening).verdict,
            Verdict::kWelcome);
  // Those that were counted before are until they leave.
  EXPECT_EQ(limits.connections(), 2u);
}

TEST(ClientLimits, OptionsMayChangeWhileTheyAreAskedFor) {
  ClientLimits limits(Limits(2));
  std::atomic<bool> done = false;
  std::thread changing([&] {
    for (int i = 0; i < 2000; ++i) {
      ClientLimits::Options options =
          i % 2 == 0 ? Limits(i % 5) : Rate(ClientEvent::kMessage, 1);
      options.exceptions = *io::ParseNetworks({"198.51.100.0/24"});
      limits.SetOptions(std::move(options));
    }
    done = true;
  });
  int64_t arrivals = 0;
  while (!done || arrivals == 0) {
    auto arrival = limits.Connect(ClientAt("192.0.2.1"), kOpening);
    arrival.visit.Count(ClientEvent::kMessage, kOpening);
    ++arrivals;
  }
  changing.join();
  EXPECT_EQ(limits.connections(), 0u);
}

}  // namespace
}  // namespace tlspost
