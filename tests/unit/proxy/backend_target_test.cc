// Health and choice of backends, on a clock of the test's own.

#include "proxy/backend_target.h"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace tlspost {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

constexpr io::Time kStart = io::Time() + std::chrono::hours(1);

BackendAddress At(const std::string& name, int port = 25) {
  return {name,
          *io::Endpoint::FromIp("192.0.2.1", static_cast<uint16_t>(port))};
}

// Two or more, all of them reached.
BackendTargets Reached(int count) {
  std::vector<BackendAddress> addresses;
  for (int i = 0; i < count; ++i) addresses.push_back(At("mail", 25 + i));
  return BackendTargets(std::move(addresses));
}

BackendTarget& Nth(BackendTargets& targets, int number) {
  // The best are given in order as long as each is made busy.
  std::vector<BackendTarget*> taken;
  for (int i = 0; i <= number; ++i) {
    taken.push_back(targets.BestToDial(kStart, {}));
    ++taken.back()->dialing;
  }
  for (BackendTarget* target : taken) --target->dialing;
  return *taken.back();
}

TEST(BackendTarget, ItsHostIsTheNamesHost) {
  EXPECT_EQ(BackendTarget(At("mail.example:25")).Host(), "mail.example");
  EXPECT_EQ(BackendTarget(At("[2001:db8::1]:25")).Host(), "2001:db8::1");
  EXPECT_EQ(BackendTarget(At("unix:/run/mail:25")).Host(), "");
}

TEST(BackendTarget, EachFailureDoublesThePauseUpToTheLongest) {
  for (const uint64_t random : {uint64_t{0}, ~uint64_t{0}, uint64_t{12345}}) {
    BackendTarget target(At("mail:25"));
    io::Duration full = 500ms;
    io::Time now = kStart;
    for (int i = 0; i < 12; ++i) {
      const io::Duration pause =
          target.NoteFailure(now, now, 500ms, 30s, random);
      EXPECT_GE(pause, full / 2);
      EXPECT_LE(pause, full);
      EXPECT_EQ(target.retry_at(), now + pause);
      full = std::min<io::Duration>(full * 2, 30s);
      now = target.retry_at();
    }
  }
}

// However many connections were under way when the backend broke, and however
// late each of them fails.
TEST(BackendTarget, WhatWasUnderWayFailsOnce) {
  BackendTarget target(At("mail:25"));
  const io::Duration pause = target.NoteFailure(kStart, kStart, 1s, 30s, 0);
  const io::Time retry = target.retry_at();
  EXPECT_EQ(target.NoteFailure(kStart - 10s, kStart, 1s, 30s, 0), pause);
  EXPECT_EQ(target.NoteFailure(kStart, kStart + 100ms, 1s, 30s, 0),
            pause - 100ms);
  EXPECT_EQ(target.NoteFailure(kStart - 1s, kStart + 20s, 1s, 30s, 0), 0s);
  EXPECT_EQ(target.retry_at(), retry);
  // One that was begun since then is another.
  EXPECT_EQ(target.NoteFailure(retry, retry, 1s, 30s, 0), 1s);
}

// E103: half-open.
TEST(BackendTarget, E103ADownOneIsTriedByOneConnectionAtATime) {
  BackendTarget target(At("mail:25"));
  EXPECT_TRUE(target.MayDial(kStart));
  ++target.dialing;
  EXPECT_TRUE(target.MayDial(kStart));  // up: as many as are wanted
  --target.dialing;
  const io::Duration pause = target.NoteFailure(kStart, kStart, 1s, 30s, 0);
  EXPECT_FALSE(target.MayDial(kStart));
  EXPECT_FALSE(target.MayDial(kStart + pause - 1ms));
  EXPECT_TRUE(target.MayDial(kStart + pause));
  ++target.dialing;
  EXPECT_FALSE(target.MayDial(kStart + pause));
  target.NoteOpened();
  EXPECT_FALSE(target.is_down());
  EXPECT_TRUE(target.MayDial(kStart + pause));
}

TEST(BackendTarget, OneThatIsBackGetsItsShareLittleByLittle) {
  BackendTarget target(At("mail:25"));
  EXPECT_FALSE(target.has_its_share());
  target.NoteFailure(kStart, kStart, 1s, 30s, 0);
  target.NoteOpened();
  for (int ended = 0; ended < 5; ++ended) {
    target.lent = ended;
    EXPECT_FALSE(target.has_its_share());
    target.lent = ended + 1;
    EXPECT_TRUE(target.has_its_share());
    target.NoteLeaseEnded();
  }
}

TEST(BackendTargets, TheLeastBusyIsTheBest) {
  BackendTargets targets = Reached(3);
  BackendTarget& first = Nth(targets, 0);
  BackendTarget& second = Nth(targets, 1);
  BackendTarget& third = Nth(targets, 2);
  first.lent = 2;
  second.lent = 1;
  third.lent = 3;
  EXPECT_EQ(targets.BestToDial(kStart, {}), &second);
  EXPECT_TRUE(BackendTargets::IsBetter(second, first, kStart));
  second.lent = 2;
  first.open = 4;
  second.open = 3;
  EXPECT_EQ(targets.BestToDial(kStart, {}), &second);
  // Of equals the one whose turn is longer ago.
  first.NoteLease();
  second.NoteLease();
  EXPECT_TRUE(BackendTargets::IsBetter(first, second, kStart));
  EXPECT_FALSE(BackendTargets::IsBetter(second, first, kStart));
}

TEST(BackendTargets, DownAndAvoidedAndSlowOnesComeLast) {
  BackendTargets targets = Reached(2);
  BackendTarget& first = Nth(targets, 0);
  BackendTarget& second = Nth(targets, 1);
  second.lent = 9;
  EXPECT_EQ(targets.BestToDial(kStart, {}), &first);
  EXPECT_EQ(targets.BestToDial(kStart, {&first}), &second);
  EXPECT_NE(targets.BestToDial(kStart, {&first, &second}), nullptr);
  first.NoteFarewell(kStart);
  EXPECT_EQ(targets.BestToDial(kStart, {}), &second);
  EXPECT_EQ(targets.BestToDial(kStart + BackendTarget::kFarewellPause, {}),
            &first);
  const io::Duration pause = first.NoteFailure(kStart, kStart, 1s, 30s, 0);
  EXPECT_EQ(targets.BestToDial(kStart, {}), &second);
  EXPECT_EQ(targets.BestToDial(kStart + pause, {}), &second);
  EXPECT_FALSE(targets.all_down());
  second.NoteFailure(kStart, kStart, 60s, 60s, 0);
  EXPECT_TRUE(targets.all_down());
  EXPECT_EQ(targets.BestToDial(kStart, {}), nullptr);
  EXPECT_EQ(targets.BestToDial(kStart + pause, {}), &first);
  EXPECT_EQ(targets.NextRetry(kStart), first.retry_at());
}

TEST(BackendTargets, TheUnknownAndTheDueAreProbed) {
  BackendTargets targets = Reached(2);
  BackendTarget& first = Nth(targets, 0);
  BackendTarget& second = Nth(targets, 1);
  first.capabilities.emplace();
  EXPECT_EQ(targets.DueForProbe(kStart), &second);
  ++second.dialing;
  EXPECT_EQ(targets.DueForProbe(kStart), nullptr);
  --second.dialing;
  second.capabilities.emplace();
  EXPECT_EQ(targets.DueForProbe(kStart), nullptr);
  const io::Duration pause = first.NoteFailure(kStart, kStart, 1s, 30s, 0);
  EXPECT_EQ(targets.DueForProbe(kStart), nullptr);
  EXPECT_EQ(targets.DueForProbe(kStart + pause), &first);
}

TEST(BackendTargets, OfferWhatAllOfThemDo) {
  BackendTargets targets = Reached(2);
  EXPECT_FALSE(targets.CommonCapabilities().has_value());
  smtp::EhloCapabilities many;
  many.size = 1000;
  many.smtputf8 = true;
  many.dsn = true;
  many.auth = "AUTH PLAIN LOGIN CRAM-MD5";
  Nth(targets, 0).capabilities = many;
  EXPECT_EQ(targets.CommonCapabilities(), many);
  smtp::EhloCapabilities few;
  few.size = 500;
  few.dsn = true;
  few.auth = "AUTH login plain";
  Nth(targets, 1).capabilities = few;
  const auto common = targets.CommonCapabilities();
  ASSERT_TRUE(common.has_value());
  EXPECT_EQ(common->size, 500u);
  EXPECT_TRUE(common->dsn);
  EXPECT_FALSE(common->smtputf8);
  EXPECT_EQ(common->auth, "AUTH PLAIN LOGIN");
}

// --- others in their place -------------------------------------------------

TEST(BackendTargets, WhatStaysKeepsWhatIsKnownOfIt) {
  BackendTargets targets(std::vector<BackendAddress>{At("a", 25), At("b", 26)});
  BackendTarget& a = Nth(targets, 0);
  a.NoteFailure(kStart, kStart, 500ms, 30s, /*random=*/0);
  targets.Replace({At("c", 27), At("a", 25)});
  EXPECT_EQ(targets.size(), 2u);
  EXPECT_TRUE(a.is_down());
  EXPECT_FALSE(a.is_removed());
  EXPECT_EQ(targets.BestToDial(kStart, {})->endpoint().port(), 27);
}

TEST(BackendTargets, WhatIsRemovedLivesAsLongAsItsConnections) {
  BackendTargets targets(std::vector<BackendAddress>{At("a", 25)});
  BackendTarget& removed = Nth(targets, 0);
  ++removed.open;
  targets.Replace({At("a", 26)});
  EXPECT_TRUE(removed.is_removed());
  EXPECT_EQ(targets.BestToDial(kStart, {})->endpoint().port(), 26);
  targets.ForgetRemoved();
  // Still there: AddressSanitizer watches.
  EXPECT_EQ(removed.endpoint().port(), 25);
  --removed.open;
  targets.ForgetRemoved();
}

TEST(BackendTargets, AnAddressIsTheSameOnlyWithItsName) {
  BackendTargets targets(std::vector<BackendAddress>{At("a", 25)});
  const BackendTarget& removed = Nth(targets, 0);
  targets.Replace({At("b", 25)});
  EXPECT_TRUE(removed.is_removed());
}

}  // namespace
}  // namespace tlspost
