// One line where many find out the same.

#include "proxy/backend_notes.h"

#include <gtest/gtest.h>

#include <chrono>

namespace tlspost {
namespace {

using std::chrono_literals::operator""min;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

constexpr io::Time kNoon = io::Time(1'000s);

TEST(Reminder, LetsOneThroughInEachInterval) {
  Reminder reminder(1min);
  EXPECT_TRUE(reminder.Due(kNoon));
  EXPECT_FALSE(reminder.Due(kNoon + 59s));
  EXPECT_TRUE(reminder.Due(kNoon + 60s));
}

TEST(OutageNote, AnOutageIsToldWhenItBeginsAndOnceAMinute) {
  OutageNote note;
  EXPECT_FALSE(note.NoteOpened(kNoon).has_value());
  const auto first = note.NoteFailure(kNoon);
  ASSERT_TRUE(first.has_value());
  EXPECT_TRUE(first->is_news);
  int lines = 0;
  for (int second = 1; second < 180; ++second) {
    const auto again = note.NoteFailure(kNoon + second * 1s);
    if (!again.has_value()) continue;
    ++lines;
    EXPECT_FALSE(again->is_news);
    EXPECT_EQ(again->failures, second + 1);
    EXPECT_EQ(again->lasting, second * 1s);
  }
  EXPECT_EQ(lines, 2);
  const auto outage = note.NoteOpened(kNoon + 180s);
  ASSERT_TRUE(outage.has_value());
  EXPECT_EQ(*outage, 180s);
  EXPECT_FALSE(note.NoteOpened(kNoon + 181s).has_value());
}

TEST(OutageNote, TheNextOneIsNewsAgain) {
  OutageNote note;
  note.NoteFailure(kNoon);
  note.NoteOpened(kNoon + 5s);
  const auto next = note.NoteFailure(kNoon + 16s);
  ASSERT_TRUE(next.has_value());
  EXPECT_TRUE(next->is_news);
  EXPECT_EQ(next->failures, 1);
}

// What comes and goes many times a second has few lines.
TEST(OutageNote, OneThatComesAndGoesDoesNotFillTheLog) {
  OutageNote note;
  int lines = 0;
  for (int i = 0; i < 600; ++i) {
    const io::Time now = kNoon + i * 100ms;
    if (note.NoteFailure(now).has_value()) ++lines;
    if (note.NoteOpened(now + 50ms).has_value()) ++lines;
  }
  EXPECT_LE(lines, 2 * 6);
  EXPECT_GE(lines, 2);
}

}  // namespace
}  // namespace tlspost
