// ListenSockets: what is bound, adopted and kept over plans, and who gets what.

#include "proxy/listen_sockets.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/io/listen_socket.h"

namespace tlspost {
namespace {

using Wanted = ListenSockets::Wanted;

io::Endpoint OnPort(uint16_t port) {
  return *io::Endpoint::FromIp("127.0.0.1", port);
}

Wanted Want(const io::Endpoint& endpoint, size_t terms = 0) {
  ListenAddress address;
  address.endpoint = endpoint;
  address.terms = terms;
  return {address, "listen"};
}

io::Descriptor Listening() {
  return io::Descriptor(*io::OpenListenSocket(OnPort(0), io::ListenOptions()));
}

// Closes what the workers were given.
void Take(const std::vector<std::vector<ListenAddress>>& workers) {
  for (const auto& worker : workers) {
    for (const ListenAddress& address : worker) {
      if (address.socket >= 0) close(address.socket);
    }
  }
}

bool IsBusy(const io::Endpoint& endpoint) {
  return absl::IsAlreadyExists(io::CheckNotInUse(endpoint));
}

TEST(ListenSockets, EachWorkerGetsASocketOfItsOwn) {
  ListenSockets sockets(3);
  auto plan = sockets.Bind({Want(OnPort(0))});
  ASSERT_TRUE(plan.ok()) << plan.status();
  const io::Endpoint bound = plan->addresses().front().endpoint;
  EXPECT_GT(bound.port(), 0);
  const auto workers = sockets.Use(*std::move(plan));
  ASSERT_EQ(workers.size(), 3u);
  std::set<size_t> numbers;
  for (const auto& worker : workers) {
    ASSERT_EQ(worker.size(), 1u);
    EXPECT_EQ(worker[0].endpoint, bound);
    EXPECT_TRUE(io::IsTcpListener(worker[0].socket));
    EXPECT_EQ(worker[0].queue, io::Listener::Queue::kHandOut);
    numbers.insert(worker[0].number);
  }
  EXPECT_EQ(numbers.size(), 3u);
  Take(workers);
  EXPECT_TRUE(IsBusy(bound)) << "they are ours as well";
  sockets.Close();
  EXPECT_FALSE(IsBusy(bound));
}

TEST(ListenSockets, APlanThatIsDroppedChangesNothing) {
  ListenSockets sockets(2);
  io::Endpoint bound;
  {
    auto plan = sockets.Bind({Want(OnPort(0))});
    ASSERT_TRUE(plan.ok());
    bound = plan->addresses().front().endpoint;
    EXPECT_TRUE(IsBusy(bound));
  }
  EXPECT_FALSE(IsBusy(bound));
}

TEST(ListenSockets, AnAddressThatStaysKeepsItsSockets) {
  ListenSockets sockets(2);
  auto first = sockets.Bind({Want(OnPort(0)), Want(OnPort(0))});
  ASSERT_TRUE(first.ok());
  const io::Endpoint kept = first->addresses()[0].endpoint;
  const io::Endpoint gone = first->addresses()[1].endpoint;
  const auto before = sockets.Use(*std::move(first));
  Take(before);
  // By the address as it was asked for; what else is said of it is new.
  auto second = sockets.Bind({Want(OnPort(0), /*terms=*/1)});
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->addresses()[0].endpoint, kept);
  EXPECT_TRUE(IsBusy(gone)) << "not before the plan is in force";
  const auto after = sockets.Use(*std::move(second));
  for (size_t i = 0; i < 2; ++i) {
    ASSERT_EQ(after[i].size(), 1u);
    EXPECT_EQ(after[i][0].socket, -1);
    EXPECT_EQ(after[i][0].number, before[i][0].number);
    EXPECT_EQ(after[i][0].terms, 1u);
  }
  EXPECT_TRUE(IsBusy(kept));
  EXPECT_FALSE(IsBusy(gone));
}

TEST(ListenSockets, ABusyAddressIsAnErrorAndNothingIsBound) {
  const io::Descriptor other = Listening();
  const io::Endpoint busy = io::BoundEndpoint(other.get());
  ListenSockets sockets(1);
  const auto plan = sockets.Bind({Want(OnPort(0)), Want(busy)});
  ASSERT_FALSE(plan.ok());
  EXPECT_TRUE(MessageOf(plan.status()).starts_with("listen: cannot listen on"))
      << plan.status();
}

TEST(ListenSockets, WhatIsAdoptedIsUsedAndNotBoundAnew) {
  io::Descriptor given = Listening();
  const io::Endpoint endpoint = io::BoundEndpoint(given.get());
  io::Descriptor surplus = Listening();
  const io::Endpoint unclaimed = io::BoundEndpoint(surplus.get());
  std::vector<io::Descriptor> all;
  all.push_back(std::move(given));
  all.push_back(std::move(surplus));
  ListenSockets sockets(3);
  ASSERT_TRUE(sockets.Adopt(std::move(all), /*shared=*/true).ok());
  auto plan = sockets.Bind({Want(endpoint)});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(sockets.Unclaimed(), std::vector<io::Endpoint>{unclaimed});
  const auto workers = sockets.Use(*std::move(plan));
  EXPECT_TRUE(sockets.is_shared());
  // One queue for all of them, which nobody empties.
  for (const auto& worker : workers) {
    ASSERT_EQ(worker.size(), 1u);
    EXPECT_EQ(io::BoundEndpoint(worker[0].socket), endpoint);
    EXPECT_EQ(worker[0].queue, io::Listener::Queue::kLeave);
  }
  EXPECT_EQ(sockets.Copies().size(), 1u);
  Take(workers);
  EXPECT_TRUE(sockets.Claim(unclaimed));
  EXPECT_FALSE(sockets.Claim(unclaimed));
}

TEST(ListenSockets, MoreSocketsThanWorkersHaveSomebodyEach) {
  std::vector<io::Descriptor> given;
  given.push_back(Listening());
  const io::Endpoint endpoint = io::BoundEndpoint(given[0].get());
  for (int i = 0; i < 2; ++i) {
    given.emplace_back(*io::OpenListenSocket(endpoint, io::ListenOptions()));
  }
  ListenSockets sockets(2);
  ASSERT_TRUE(sockets.Adopt(std::move(given), /*shared=*/false).ok());
  auto plan = sockets.Bind({Want(endpoint)});
  ASSERT_TRUE(plan.ok());
  const auto workers = sockets.Use(*std::move(plan));
  EXPECT_EQ(workers[0].size() + workers[1].size(), 3u);
  EXPECT_EQ(sockets.Copies().size(), 3u);
  EXPECT_FALSE(sockets.is_shared());
  Take(workers);
}

TEST(ListenSockets, OfSeveralCopiesOneEmptiesTheQueue) {
  std::vector<io::Descriptor> given;
  given.push_back(Listening());
  const io::Endpoint endpoint = io::BoundEndpoint(given[0].get());
  ListenSockets sockets(3);
  ASSERT_TRUE(sockets.Adopt(std::move(given), /*shared=*/false).ok());
  auto plan = sockets.Bind({Want(endpoint)});
  ASSERT_TRUE(plan.ok());
  const auto workers = sockets.Use(*std::move(plan));
  int emptying = 0;
  for (const auto& worker : workers) {
    ASSERT_EQ(worker.size(), 1u);
    if (worker[0].queue == io::Listener::Queue::kHandOut) ++emptying;
  }
  EXPECT_EQ(emptying, 1);
  Take(workers);
}

// A reload may have looked things up while the drain began.
TEST(ListenSockets, WhatComesBehindCloseIsDropped) {
  ListenSockets sockets(2);
  auto first = sockets.Bind({Want(OnPort(0))});
  ASSERT_TRUE(first.ok());
  Take(sockets.Use(*std::move(first)));
  auto second = sockets.Bind({Want(OnPort(0)), Want(OnPort(0))});
  ASSERT_TRUE(second.ok());
  const std::vector<ListenAddress> addresses = second->addresses();
  sockets.Close();
  for (const auto& worker : sockets.Use(*std::move(second))) {
    EXPECT_TRUE(worker.empty());
  }
  EXPECT_TRUE(sockets.Copies().empty());
  for (const ListenAddress& address : addresses) {
    EXPECT_FALSE(IsBusy(address.endpoint));
  }
}

TEST(ListenSockets, WhatDoesNotListenIsNotAdopted) {
  int ends[2] = {};
  ASSERT_EQ(pipe(ends), 0);
  std::vector<io::Descriptor> given;
  for (const int end : ends) given.emplace_back(end);
  ListenSockets sockets(1);
  EXPECT_FALSE(sockets.Adopt(std::move(given), /*shared=*/true).ok());
}

}  // namespace
}  // namespace tlspost
