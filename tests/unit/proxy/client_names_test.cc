// The cache before DNS: one question for many, each answer for its time, never
// more addresses than fit.

#include "proxy/client_names.h"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/io/op.h"
#include "common/io/task_group.h"
#include "tests/sim/sim_loop.h"

namespace tlspost {
namespace {

using std::chrono_literals::operator""s;

io::Endpoint At(int number) {
  return *io::Endpoint::FromIp("192.0.2." + std::to_string(number), 40000);
}

// Keeps the questions until the test answers them.
class FakeResolver final : public io::NameResolver {
 public:
  void Resolve(io::Loop& /*loop*/, const io::Endpoint& address,
               Done done) override {
    asked_.push_back(address.Address());
    open_.push_back(std::move(done));
  }
  void Forget(io::Loop& /*loop*/) override { open_.clear(); }

  void AnswerAll(const std::string& name, io::Duration good_for = 100s) {
    const std::vector<Done> open = std::exchange(open_, {});
    for (const Done& done : open) {
      done({{name, io::NameFound::kYes, name, io::NameFound::kYes}, good_for});
    }
  }
  const std::vector<std::string>& asked() const { return asked_; }

 private:
  std::vector<std::string> asked_;
  std::vector<Done> open_;
};

class ClientNamesTest : public ::testing::Test {
 public:
  ClientNamesTest() : names_(loop_, &resolver_, /*max_addresses=*/3) {}
  ~ClientNamesTest() override { EXPECT_EQ(tasks_.size(), 0u); }

  // What a look-up gives that starts now.
  using Result = std::shared_ptr<ClientNames::Name>;
  Result LookUp(int number, io::Duration limit = 10s) {
    auto result = std::make_shared<ClientNames::Name>();
    tasks_.Spawn(Take(At(number), loop_.Now() + limit, result));
    Settle();
    return result;
  }
  void Pass(io::Duration time) {
    tasks_.Spawn(Sleep(loop_.Now() + time));
    loop_.RunUntil([] { return false; }, time + 1s);
  }
  void Settle() {
    loop_.RunUntil([] { return false; }, io::Duration());
  }

 protected:
  Task<void> Take(io::Endpoint address, io::Time deadline, Result result) {
    *result = co_await names_.Lookup(address, deadline);
  }
  Task<void> Sleep(io::Time until) { co_await io::SleepOp(loop_, until); }

  sim::SimLoop loop_{/*seed=*/1};
  FakeResolver resolver_;
  ClientNames names_;
  io::TaskGroup tasks_{loop_};
};

TEST_F(ClientNamesTest, OneQuestionServesAllWhoWait) {
  const Result first = LookUp(1);
  const Result second = LookUp(1);
  EXPECT_EQ(*first, nullptr);
  EXPECT_EQ(resolver_.asked().size(), 1u);
  resolver_.AnswerAll("a.example");
  Settle();
  ASSERT_NE(*first, nullptr);
  EXPECT_EQ((*first)->name, "a.example");
  EXPECT_EQ(*first, *second);
  const Result third = LookUp(1);
  EXPECT_EQ(*third, *first);
  EXPECT_EQ(resolver_.asked().size(), 1u);
}

TEST_F(ClientNamesTest, AnAnswerIsGoodForItsTime) {
  LookUp(1);
  resolver_.AnswerAll("a.example", 100s);
  Pass(99s);
  LookUp(1);
  EXPECT_EQ(resolver_.asked().size(), 1u);
  Pass(2s);
  const Result again = LookUp(1);
  EXPECT_EQ(resolver_.asked().size(), 2u);
  EXPECT_EQ(*again, nullptr);
  resolver_.AnswerAll("b.example");
  Settle();
  EXPECT_EQ((*again)->name, "b.example");
}

TEST_F(ClientNamesTest, NobodyWaitsBeyondTheOwnDeadline) {
  const Result hasty = LookUp(1, 2s);
  const Result patient = LookUp(1, 20s);
  Pass(3s);
  ASSERT_NE(*hasty, nullptr);
  EXPECT_EQ((*hasty)->name_found, io::NameFound::kLater);
  EXPECT_EQ((*hasty)->reverse_found, io::NameFound::kLater);
  EXPECT_EQ(*patient, nullptr);
  resolver_.AnswerAll("a.example");
  Settle();
  EXPECT_EQ((*patient)->name, "a.example");
}

TEST_F(ClientNamesTest, WhatWasUsedLongestAgoGivesWay) {
  for (int i = 1; i <= 3; ++i) LookUp(i);
  resolver_.AnswerAll("a.example");
  Settle();
  LookUp(3);
  LookUp(1);  // 2 is now the one that was used longest ago
  LookUp(4);
  resolver_.AnswerAll("d.example");
  Settle();
  EXPECT_EQ(names_.size(), 3u);
  EXPECT_EQ(resolver_.asked().size(), 4u);
  for (const int kept : {1, 3, 4}) EXPECT_NE(*LookUp(kept), nullptr);
  EXPECT_EQ(resolver_.asked().size(), 4u);
  LookUp(2);
  EXPECT_EQ(resolver_.asked().size(), 5u);
  resolver_.AnswerAll("b.example");
  Settle();
}

TEST_F(ClientNamesTest, WithoutRoomItIsNotEvenAsked) {
  std::vector<Result> waiting;
  for (int i = 1; i <= 3; ++i) waiting.push_back(LookUp(i));
  const Result one_more = LookUp(4);
  ASSERT_NE(*one_more, nullptr);
  EXPECT_EQ((*one_more)->name_found, io::NameFound::kLater);
  EXPECT_EQ(resolver_.asked().size(), 3u);
  resolver_.AnswerAll("a.example");
  Settle();
  for (const Result& result : waiting) EXPECT_EQ((*result)->name, "a.example");
}

TEST_F(ClientNamesTest, InterruptEndsAllWaits) {
  const Result waiting = LookUp(1);
  names_.Interrupt();
  Settle();
  ASSERT_NE(*waiting, nullptr);
  EXPECT_EQ((*waiting)->name_found, io::NameFound::kLater);
  EXPECT_NE(*LookUp(2), nullptr);
  EXPECT_EQ(resolver_.asked().size(), 1u);
}

}  // namespace
}  // namespace tlspost
