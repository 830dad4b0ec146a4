// The last refusals: so many, in their order, cut to size.

#include "proxy/recent_refusals.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace tlspost {
namespace {

io::WallTime Second(int64_t seconds) {
  return io::WallTime(std::chrono::seconds(seconds));
}

TEST(RecentRefusals, KeepsWhatWasSaidLast) {
  RecentRefusals refusals;
  EXPECT_TRUE(refusals.All().empty());
  const auto kept = static_cast<int64_t>(RecentRefusals::kKept);
  for (int64_t i = 1; i <= kept + 3; ++i) {
    refusals.Note(Second(i), "192.0.2.1", "mx", "RCPT",
                  "550 5.1.1 no\r\n550 more\r\n");
  }
  const std::vector<Refusal> all = refusals.All();
  ASSERT_EQ(all.size(), RecentRefusals::kKept);
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(all[i].time_s, 4 + static_cast<int64_t>(i));
  }
  EXPECT_EQ(all.back().reply.view(), "550 5.1.1 no");
  EXPECT_EQ(all.back().client.view(), "192.0.2.1");
  EXPECT_EQ(all.back().helo.view(), "mx");
  EXPECT_EQ(all.back().command.view(), "RCPT");
}

TEST(RecentRefusals, WhatIsTooLongIsCut) {
  RecentRefusals refusals;
  const std::string text(1000, 'x');
  refusals.Note(Second(1), text, text, text, text);
  const Refusal refusal = refusals.All().front();
  EXPECT_EQ(refusal.helo.view().size(), 64u);
  EXPECT_EQ(refusal.reply.view().size(), 160u);
}

}  // namespace
}  // namespace tlspost
