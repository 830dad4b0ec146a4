// The ledger of a sink, and its way to who asks for it.

#include "bench/verify/ledger.h"

#include <gtest/gtest.h>

namespace tlspost::verify {
namespace {

std::string TextOf(const LedgerPage& page) {
  std::string text;
  for (const LedgerEntry& entry : page.entries) text += FormatLedgerLine(entry);
  return text + FormatLedgerEnd(page);
}

TEST(Ledger, APageHasTheEntriesOfItsRunOnly) {
  Ledger ledger(100);
  ledger.Add({1, 10, 0xaa, 0xbb});
  ledger.Add({2, 20, 0xcc, 0xdd});
  ledger.Add({1, 11, 0xee, 0xff});
  ledger.AddUnmarked();
  const LedgerPage page = ledger.PageOf(1);
  ASSERT_EQ(page.entries.size(), 2u);
  EXPECT_EQ(page.entries[0].sequence, 10u);
  EXPECT_EQ(page.entries[1].envelope, 0xffu);
  EXPECT_EQ(page.unmarked, 1u);
  EXPECT_EQ(page.over_limit, 0u);
}

TEST(Ledger, HoldsNoMoreThanItsLimitAndSaysSo) {
  Ledger ledger(2);
  for (uint64_t i = 0; i < 5; ++i) ledger.Add({1, i, 0, 0});
  EXPECT_EQ(ledger.PageOf(1).entries.size(), 2u);
  EXPECT_EQ(ledger.PageOf(1).over_limit, 3u);
}

TEST(Ledger, APageComesThroughAsText) {
  Ledger ledger(2);
  ledger.Add({7, 10, 0xfedcba9876543210, 0});
  ledger.Add({7, 11, 1, 0xffffffffffffffff});
  ledger.Add({7, 12, 1, 1});
  ledger.AddUnmarked();
  const std::string text = TextOf(ledger.PageOf(7));
  EXPECT_EQ(text, "10 fedcba9876543210 0\n11 1 ffffffffffffffff\nEND 2 1 1\n");
  const auto page = ParseLedgerPage(text, 7);
  ASSERT_TRUE(page.ok());
  ASSERT_EQ(page->entries.size(), 2u);
  EXPECT_EQ(page->entries[0].run, 7u);
  EXPECT_EQ(page->entries[0].body, 0xfedcba9876543210u);
  EXPECT_EQ(page->entries[1].envelope, 0xffffffffffffffffu);
  EXPECT_EQ(page->unmarked, 1u);
  EXPECT_EQ(page->over_limit, 1u);
}

TEST(Ledger, ATextThatIsNotAWholePageIsAnError) {
  for (const char* text :
       {"", "10 1 1\n", "10 1 1\nEND 2 0 0\n", "END 1 0 0\n",
        "10 1\nEND 1 0 0\n", "10 x 1\nEND 1 0 0\n", "END 0 0 0\nmore\n",
        "END 0 0 0", "220 mail.example ESMTP\n", "END 0 0\n"}) {
    EXPECT_FALSE(ParseLedgerPage(text, 1).ok()) << text;
  }
}

}  // namespace
}  // namespace tlspost::verify
