// The assertions: silent when the condition holds, one sentence when not.

#include "common/base/check.h"

#include <gtest/gtest.h>

#include <memory>

#include "common/base/status.h"

namespace tlspost {
namespace {

TEST(CheckTest, EvaluatesOnceAndGoesOn) {
  int calls = 0;
  TLSPOST_CHECK(++calls == 1);
  TLSPOST_REQUIRE(++calls == 2);
  EXPECT_EQ(calls, 2);
}

TEST(CheckTest, IsAnExpressionAndTakesWhatConvertsToBool) {
  const auto pointer = std::make_unique<int>(1);
  const int value = (TLSPOST_CHECK(pointer), *pointer);
  EXPECT_EQ(value, 1);
}

TEST(CheckDeathTest, SaysWhichSentenceBrokeAndWhere) {
  EXPECT_DEATH(TLSPOST_CHECK(1 + 1 == 3),
               "check_test.cc:[0-9]+: CHECK failed: 1 \\+ 1 == 3");
  EXPECT_DEATH(TLSPOST_REQUIRE(false),
               "check_test.cc:[0-9]+: REQUIRE failed: false");
}

TEST(StatusTest, CarriesStandardViews) {
  const absl::Status status =
      MakeStatus(absl::StatusCode::kUnavailable, std::string_view("abc", 2));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(MessageOf(status), "ab");
  EXPECT_EQ(MessageOf(absl::OkStatus()), "");
}

}  // namespace
}  // namespace tlspost
