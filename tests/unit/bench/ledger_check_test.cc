// What was sent against what was taken: each kind of fault, and no other.

#include "bench/verify/ledger_check.h"

#include <gtest/gtest.h>

namespace tlspost::verify {
namespace {

SentMessage Sent(uint64_t sequence, Outcome outcome) {
  return {sequence, 100 + sequence, 200 + sequence, outcome};
}
LedgerEntry Taken(uint64_t sequence) {
  return {1, sequence, 100 + sequence, 200 + sequence};
}

TEST(LedgerCheck, WhatIsAsItShouldBeIsNoFault) {
  LedgerPage page;
  page.entries = {Taken(2), Taken(1), Taken(4)};
  const Verdict verdict =
      CheckLedger({Sent(1, Outcome::kAccepted), Sent(2, Outcome::kAccepted),
                   Sent(3, Outcome::kRefused), Sent(4, Outcome::kUnsure),
                   Sent(5, Outcome::kUnsure)},
                  page);
  EXPECT_TRUE(verdict.ok());
  EXPECT_EQ(verdict.accepted, 2u);
  EXPECT_EQ(verdict.refused, 1u);
  EXPECT_EQ(verdict.unsure, 2u);
  EXPECT_EQ(verdict.unsure_taken, 1u);
  EXPECT_TRUE(verdict.examples.empty());
}

TEST(LedgerCheck, FindsALostMessage) {
  const Verdict verdict =
      CheckLedger({Sent(1, Outcome::kAccepted)}, LedgerPage());
  EXPECT_FALSE(verdict.ok());
  EXPECT_EQ(verdict.lost, 1u);
  ASSERT_EQ(verdict.examples.size(), 1u);
  EXPECT_EQ(verdict.examples[0],
            "message 1: the client heard 250 and the sink does not have it");
}

TEST(LedgerCheck, FindsADoubledMessageWhateverItsClientHeard) {
  for (const Outcome outcome : {Outcome::kAccepted, Outcome::kUnsure}) {
    LedgerPage page;
    page.entries = {Taken(1), Taken(1), Taken(1)};
    const Verdict verdict = CheckLedger({Sent(1, outcome)}, page);
    EXPECT_FALSE(verdict.ok());
    EXPECT_EQ(verdict.doubled, 1u);
    EXPECT_EQ(verdict.lost + verdict.changed + verdict.mixed, 0u);
  }
}

TEST(LedgerCheck, FindsAChangedMessage) {
  LedgerPage page;
  page.entries = {Taken(1)};
  ++page.entries[0].body;
  const Verdict verdict = CheckLedger({Sent(1, Outcome::kAccepted)}, page);
  EXPECT_FALSE(verdict.ok());
  EXPECT_EQ(verdict.changed, 1u);
  EXPECT_EQ(verdict.mixed, 0u);
}

TEST(LedgerCheck, FindsAnotherMessagesEnvelope) {
  LedgerPage page;
  page.entries = {Taken(1), Taken(2)};
  std::swap(page.entries[0].envelope, page.entries[1].envelope);
  const Verdict verdict = CheckLedger(
      {Sent(1, Outcome::kAccepted), Sent(2, Outcome::kAccepted)}, page);
  EXPECT_FALSE(verdict.ok());
  EXPECT_EQ(verdict.mixed, 2u);
  EXPECT_EQ(verdict.changed, 0u);
}

TEST(LedgerCheck, FindsWhatNobodySentAndWhatWasRefused) {
  LedgerPage page;
  page.entries = {Taken(1), Taken(9)};
  const Verdict verdict = CheckLedger({Sent(1, Outcome::kRefused)}, page);
  EXPECT_FALSE(verdict.ok());
  EXPECT_EQ(verdict.invented, 2u);
}

TEST(LedgerCheck, ALedgerThatIsNotWholeProvesNothing) {
  LedgerPage unmarked;
  unmarked.unmarked = 1;
  EXPECT_FALSE(CheckLedger({}, unmarked).ok());
  LedgerPage full;
  full.over_limit = 1;
  EXPECT_FALSE(CheckLedger({}, full).ok());
  EXPECT_TRUE(CheckLedger({}, LedgerPage()).ok());
}

TEST(LedgerCheck, CountsAllFaultsAndShowsTheFirst) {
  std::vector<SentMessage> sent;
  for (uint64_t i = 0; i < 50; ++i) sent.push_back(Sent(i, Outcome::kAccepted));
  const Verdict verdict = CheckLedger(sent, LedgerPage());
  EXPECT_EQ(verdict.lost, 50u);
  EXPECT_EQ(verdict.examples.size(), kMaxExamples);
}

}  // namespace
}  // namespace tlspost::verify
