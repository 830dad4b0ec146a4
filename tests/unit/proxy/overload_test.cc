// When overload mode begins and ends, and that each change is heard of once.

#include "proxy/overload.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace tlspost {
namespace {

using Change = Overload::Change;

TEST(Overload, BeginsAndEndsWithoutFluttering) {
  Overload overload(1000, 90);
  EXPECT_EQ(overload.Note(899), Change::kNone);
  EXPECT_EQ(overload.Note(900), Change::kBegins);
  EXPECT_TRUE(overload.overloaded());
  for (const int connections : {899, 900, 700, 1000, 675}) {
    EXPECT_EQ(overload.Note(connections), Change::kNone) << connections;
  }
  EXPECT_EQ(overload.Note(674), Change::kEnds);
  EXPECT_FALSE(overload.overloaded());
  for (const int connections : {675, 899}) {
    EXPECT_EQ(overload.Note(connections), Change::kNone) << connections;
  }
  EXPECT_EQ(overload.Note(900), Change::kBegins);
}

TEST(Overload, NobodyIsNoOverload) {
  Overload smallest(1, 1);
  EXPECT_EQ(smallest.Note(0), Change::kNone);
  EXPECT_EQ(smallest.Note(1), Change::kBegins);
  EXPECT_EQ(smallest.Note(0), Change::kEnds);
  Overload never(10, 0);
  EXPECT_EQ(never.Note(10), Change::kNone);
  Overload largest(10'000'000, 100);
  EXPECT_EQ(largest.Note(9'999'999), Change::kNone);
  EXPECT_EQ(largest.Note(10'000'000), Change::kBegins);
}

TEST(Overload, OneOfManyThreadsHearsOfEachChange) {
  Overload overload(100, 50);
  std::atomic<int> balance = 0;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 20000; ++round) {
        const Change change = overload.Note((round + i) % 2 == 0 ? 100 : 0);
        if (change == Change::kBegins) ++balance;
        if (change == Change::kEnds) --balance;
        if (balance > 4 || balance < -4) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(balance, overload.overloaded() ? 1 : 0);
}

TEST(Overload, OtherBoundsHoldFromTheNextNote) {
  Overload overload(100, 50);
  EXPECT_EQ(overload.Note(60), Change::kBegins);
  overload.SetBounds(1000, 50);
  EXPECT_TRUE(overload.overloaded());
  EXPECT_EQ(overload.Note(60), Change::kEnds);
  EXPECT_EQ(overload.Note(499), Change::kNone);
  overload.SetBounds(10, 50);
  EXPECT_EQ(overload.Note(5), Change::kBegins);
  overload.SetBounds(10, 0);
  EXPECT_EQ(overload.Note(5), Change::kEnds);
  EXPECT_EQ(overload.Note(10), Change::kNone);
}

}  // namespace
}  // namespace tlspost
