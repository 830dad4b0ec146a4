// Spare strings: memory goes round, and no more of it is kept than is said.

#include "common/base/spare_string.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace tlspost {
namespace {

// As a test before this one may have left some.
void DropAll() {
  while (TakeSpareString().capacity() > std::string().capacity()) {
  }
}

TEST(SpareString, MemoryIsUsedAgain) {
  DropAll();
  std::string first(100, 'x');
  const char* const memory = first.data();
  KeepSpareString(first);
  EXPECT_EQ(first.capacity(), std::string().capacity());
  const std::string second = TakeSpareString();
  EXPECT_TRUE(second.empty());
  EXPECT_EQ(second.data(), memory);
  EXPECT_GE(second.capacity(), 100u);
}

TEST(SpareString, AnOwnerGivesItBack) {
  DropAll();
  const char* memory = nullptr;
  {
    const SpareString text(std::string(100, 'x'));
    memory = text->data();
  }
  const SpareString again;
  EXPECT_EQ(again->data(), memory);
  EXPECT_EQ(*again, "");
}

TEST(SpareString, ACopyHasTheText) {
  DropAll();
  EXPECT_EQ(SpareCopy("short"), "short");
  const std::string text(200, 'y');
  EXPECT_EQ(SpareCopy(text), text);
  std::string used(300, 'z');
  KeepSpareString(used);
  const std::string copy = SpareCopy(text);
  EXPECT_EQ(copy, text);
  EXPECT_GE(copy.capacity(), 300u);
}

TEST(SpareString, WhatHasNoMemoryOrTooMuchIsNotKept) {
  DropAll();
  std::string small("small");
  KeepSpareString(small);
  EXPECT_EQ(small, "");
  EXPECT_EQ(TakeSpareString().capacity(), std::string().capacity());
  std::string large(kMaxSpareOctets + 1, 'x');
  KeepSpareString(large);
  EXPECT_EQ(large.capacity(), std::string().capacity());
  EXPECT_EQ(TakeSpareString().capacity(), std::string().capacity());
}

TEST(SpareString, NoMoreAreKeptThanIsSaid) {
  DropAll();
  for (size_t i = 0; i < 2 * kMaxSpareStrings; ++i) {
    std::string used(100, 'x');
    KeepSpareString(used);
  }
  size_t kept = 0;
  while (TakeSpareString().capacity() >= 100) ++kept;
  EXPECT_EQ(kept, kMaxSpareStrings);
  EXPECT_EQ(SpareStringOctets(), 0u);
  std::string used(100, 'x');
  KeepSpareString(used);
  EXPECT_EQ(SpareStringOctets(), 101u);
}

}  // namespace
}  // namespace tlspost
