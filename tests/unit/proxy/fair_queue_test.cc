// Clients take turns, and each one's own come in order.

#include "proxy/fair_queue.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <deque>
#include <string>

namespace tlspost {
namespace {

struct Waiter : FairQueue<Waiter>::Node {
  explicit Waiter(std::string its_name) : name(std::move(its_name)) {}
  std::string name;
};

io::AddressBytes Key(char client) {
  io::AddressBytes key{};
  key[0] = static_cast<uint8_t>(client);
  return key;
}

class FairQueueTest : public ::testing::Test {
 protected:
  // "a1" is the first of client a.
  Waiter& Add(const std::string& name) {
    Waiter& waiter = waiters_.emplace_back(name);
    queue_.Push(waiter, Key(name[0]));
    return waiter;
  }

  std::string Serve() {
    Waiter& first = queue_.First();
    queue_.EndTurn(first);
    queue_.Remove(first);
    return first.name;
  }

  std::string ServeAll() {
    std::string served;
    while (!queue_.empty()) served += Serve() + " ";
    return served;
  }

  std::deque<Waiter> waiters_;
  FairQueue<Waiter> queue_;
};

TEST_F(FairQueueTest, E097OneClientsManyAreNotAheadOfAnothersOne) {
  for (const char* name : {"a1", "a2", "a3", "a4", "b1", "c1", "b2"}) Add(name);
  EXPECT_EQ(queue_.size(), 7u);
  EXPECT_EQ(ServeAll(), "a1 b1 c1 a2 b2 a3 a4 ");
  EXPECT_EQ(queue_.size(), 0u);
}

TEST_F(FairQueueTest, WhoComesAgainIsBehindWhoWaits) {
  for (const char* name : {"a1", "b1", "c1"}) Add(name);
  EXPECT_EQ(Serve(), "a1");
  Add("a2");
  Add("d1");
  EXPECT_EQ(ServeAll(), "b1 c1 a2 d1 ");
}

TEST_F(FairQueueTest, WhoGivesUpTakesNobodysTurn) {
  Waiter& a1 = Add("a1");
  Add("a2");
  Waiter& b1 = Add("b1");
  Add("c1");
  queue_.Remove(a1);
  EXPECT_FALSE(a1.waits());
  queue_.Remove(b1);
  EXPECT_EQ(ServeAll(), "a2 c1 ");
}

TEST_F(FairQueueTest, ATurnThatIsNotEndedIsTheSameClientsStill) {
  for (const char* name : {"a1", "a2", "b1"}) Add(name);
  EXPECT_EQ(queue_.First().name, "a1");
  queue_.Remove(queue_.First());
  EXPECT_EQ(queue_.First().name, "a2");
  queue_.EndTurn(queue_.First());
  EXPECT_EQ(queue_.First().name, "b1");
  std::string seen;
  queue_.ForEach([&](const Waiter& waiter) { seen += waiter.name; });
  EXPECT_EQ(seen, "b1a2");
  ServeAll();
}

}  // namespace
}  // namespace tlspost
