// IntrusiveList: order, leaving in every way, two lists at once.

#include "common/base/intrusive_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace tlspost {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Ready;
struct Idle;

struct Item : ListNode<Ready>, ListNode<Idle> {
  explicit Item(int n) : number(n) {}
  int number;
};

using ReadyList = IntrusiveList<Item, Ready>;
using IdleList = IntrusiveList<Item, Idle>;

template <typename List>
std::vector<int> Numbers(List& list) {
  std::vector<int> numbers;
  list.ForEach([&](Item& item) { numbers.push_back(item.number); });
  return numbers;
}

TEST(IntrusiveListTest, KeepsOrder) {
  Item one(1), two(2), three(3);
  ReadyList list;
  EXPECT_TRUE(list.empty());
  list.PushBack(two);
  list.PushBack(three);
  list.PushFront(one);
  EXPECT_THAT(Numbers(list), ElementsAre(1, 2, 3));
  EXPECT_EQ(list.front().number, 1);
  EXPECT_EQ(list.back().number, 3);
  EXPECT_EQ(list.PopFront().number, 1);
  EXPECT_THAT(Numbers(list), ElementsAre(2, 3));
}

TEST(IntrusiveListTest, ElementLeavesOnItsOwn) {
  Item one(1), three(3);
  auto two = std::make_unique<Item>(2);
  ReadyList list;
  list.PushBack(one);
  list.PushBack(*two);
  list.PushBack(three);
  two.reset();
  EXPECT_THAT(Numbers(list), ElementsAre(1, 3));
  one.ListNode<Ready>::Unlink();
  one.ListNode<Ready>::Unlink();  // in none: nothing happens
  EXPECT_FALSE(one.ListNode<Ready>::linked());
  EXPECT_THAT(Numbers(list), ElementsAre(3));
  list.PushBack(one);
  EXPECT_THAT(Numbers(list), ElementsAre(3, 1));
}

TEST(IntrusiveListTest, TwoListsAtOnce) {
  Item one(1), two(2);
  ReadyList ready;
  IdleList idle;
  ready.PushBack(one);
  ready.PushBack(two);
  idle.PushBack(two);
  idle.PushBack(one);
  two.ListNode<Ready>::Unlink();
  EXPECT_THAT(Numbers(ready), ElementsAre(1));
  EXPECT_THAT(Numbers(idle), ElementsAre(2, 1));
}

TEST(IntrusiveListTest, VisitorMayUnlinkWhatItIsGiven) {
  Item one(1), two(2), three(3);
  ReadyList list;
  for (Item* item : {&one, &two, &three}) list.PushBack(*item);
  list.ForEach([](Item& item) {
    if (item.number != 2) item.ListNode<Ready>::Unlink();
  });
  EXPECT_THAT(Numbers(list), ElementsAre(2));
}

TEST(IntrusiveListTest, TakeAllEmptiesTheOther) {
  Item one(1), two(2), three(3);
  ReadyList first;
  ReadyList second;
  first.PushBack(one);
  second.PushBack(two);
  second.PushBack(three);
  first.TakeAll(second);
  EXPECT_THAT(Numbers(first), ElementsAre(1, 2, 3));
  EXPECT_THAT(Numbers(second), IsEmpty());
  EXPECT_TRUE(second.empty());
}

TEST(IntrusiveListTest, ElementsOutliveTheList) {
  Item one(1);
  {
    ReadyList list;
    list.PushBack(one);
    EXPECT_TRUE(one.ListNode<Ready>::linked());
  }
  EXPECT_FALSE(one.ListNode<Ready>::linked());
}

TEST(IntrusiveListDeathTest, Misuse) {
  Item one(1);
  ReadyList list;
  EXPECT_DEATH(list.PopFront(), "REQUIRE failed: !empty");
  EXPECT_DEATH(list.back(), "REQUIRE failed: !empty");
  list.PushBack(one);
  EXPECT_DEATH(list.PushBack(one), "REQUIRE failed: !node.linked");
}

}  // namespace
}  // namespace tlspost
