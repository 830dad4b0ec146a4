// Spare vectors: memory goes round, elements do not.

#include "common/base/spare_vector.h"

#include <gtest/gtest.h>

#include <memory>

namespace tlspost {
namespace {

TEST(SpareVector, MemoryIsUsedAgainAndElementsAreGone) {
  const auto element = std::make_shared<int>(1);
  const std::shared_ptr<int>* memory = nullptr;
  {
    SpareVector<std::shared_ptr<int>> first;
    first.push_back(element);
    memory = first.data();
  }
  EXPECT_EQ(element.use_count(), 1);
  SpareVector<std::shared_ptr<int>> second;
  EXPECT_TRUE(second.empty());
  second.push_back(element);
  EXPECT_EQ(second.data(), memory);
}

TEST(SpareVector, TwoAtATimeHaveMemoryOfTheirOwn) {
  SpareVector<int> first;
  SpareVector<int> second;
  first.push_back(1);
  second.push_back(2);
  EXPECT_EQ(first[0], 1);
  EXPECT_EQ(second[0], 2);
}

TEST(SpareVector, ALargeOneIsNotKept) {
  const char* memory = nullptr;
  {
    SpareVector<char> large;
    for (size_t i = 0; i <= SpareVector<char>::kMaxElements; ++i) {
      large.push_back('x');
    }
    memory = large.data();
  }
  SpareVector<char> next;
  EXPECT_NE(next.data(), memory);
}

}  // namespace
}  // namespace tlspost
