// Fingerprints and marks: every change of a message is seen.

#include "bench/verify/mark.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "bench/verify/fingerprint.h"

namespace tlspost::verify {
namespace {

uint64_t Of(std::string_view octets) {
  Fingerprint fingerprint;
  fingerprint.Add(octets);
  return fingerprint.value();
}

std::string SomeText() {
  std::string text;
  for (int i = 0; i < 100; ++i) text += static_cast<char>(i * 37 + 11);
  return text;
}

TEST(Fingerprint, IsTheSameHoweverTheOctetsAreCut) {
  const std::string text = SomeText();
  for (size_t first = 0; first <= text.size(); ++first) {
    for (size_t second = first; second <= text.size(); second += 5) {
      Fingerprint cut;
      cut.Add(std::string_view(text).substr(0, first));
      cut.Add(std::string_view(text).substr(first, second - first));
      cut.Add(std::string_view(text).substr(second));
      ASSERT_EQ(cut.value(), Of(text)) << first << ' ' << second;
    }
  }
}

TEST(Fingerprint, DiffersForEachOctetChangedLostAddedOrSwapped) {
  const std::string text = SomeText();
  std::set<uint64_t> seen = {Of(text)};
  size_t variants = 1;
  for (size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] ^= 1;
    seen.insert(Of(changed));
    std::string lost = text;
    lost.erase(i, 1);
    seen.insert(Of(lost));
    std::string added = text;
    added.insert(i, 1, '\0');
    seen.insert(Of(added));
    variants += 3;
    if (i + 1 == text.size()) continue;
    std::string swapped = text;
    std::swap(swapped[i], swapped[i + 1]);
    seen.insert(Of(swapped));
    ++variants;
  }
  EXPECT_EQ(seen.size(), variants);
}

TEST(Fingerprint, ZerosCount) {
  std::set<uint64_t> seen;
  for (size_t length = 0; length < 40; ++length) {
    seen.insert(Of(std::string(length, '\0')));
  }
  EXPECT_EQ(seen.size(), 40u);
}

TEST(Mark, IsFoundBehindTheFieldsOfServers) {
  const Mark mark = {0x1234567890abcdef, 42};
  EXPECT_EQ(FormatMark(mark), "X-Tlspost-Load: 1234567890abcdef-42\r\n");
  const std::string sent = FormatMark(mark) + "Subject: x\r\n\r\nText\r\n";
  const auto alone = ReadMarked(sent);
  ASSERT_TRUE(alone.has_value());
  EXPECT_EQ(alone->mark, mark);
  EXPECT_EQ(alone->body, Of(sent));
  const auto behind =
      ReadMarked("Received: from a\r\n\tX-Tlspost-Load: no\r\n" + sent);
  ASSERT_TRUE(behind.has_value());
  EXPECT_EQ(behind->mark, mark);
  EXPECT_EQ(behind->body, alone->body);
}

TEST(Mark, IsNotReadWhereThereIsNoneOrMoreThanOne) {
  const std::string mark = FormatMark({1, 2});
  EXPECT_FALSE(ReadMarked("").has_value());
  EXPECT_FALSE(ReadMarked("Subject: x\r\n\r\nText\r\n").has_value());
  EXPECT_FALSE(ReadMarked(mark + "\r\nText\r\n" + mark).has_value())
      << "two messages in one";
  EXPECT_FALSE(ReadMarked("X-Tlspost-Load: 12-3\r\n").has_value());
  EXPECT_FALSE(
      ReadMarked("X-Tlspost-Load: 1234567890abcdef-4x\r\n").has_value());
  EXPECT_FALSE(ReadMarked(mark.substr(0, mark.size() - 2)).has_value());
  const std::string far(kMaxHeaderOctets, 'a');
  EXPECT_FALSE(ReadMarked(far + "\r\n" + mark).has_value());
}

TEST(Mark, AnEnvelopeIsItsSenderAndItsRecipientsInOrder) {
  const uint64_t envelope = EnvelopeFingerprint("a@b", {"c@d", "e@f"});
  EXPECT_EQ(EnvelopeFingerprint("a@b", {"c@d", "e@f"}), envelope);
  EXPECT_NE(EnvelopeFingerprint("a@x", {"c@d", "e@f"}), envelope);
  EXPECT_NE(EnvelopeFingerprint("a@b", {"e@f", "c@d"}), envelope);
  EXPECT_NE(EnvelopeFingerprint("a@b", {"c@d"}), envelope);
  EXPECT_NE(EnvelopeFingerprint("a@b", {"c@d", "e@f", ""}), envelope);
  EXPECT_NE(EnvelopeFingerprint("a@bc@d", {"e@f"}), envelope);
}

}  // namespace
}  // namespace tlspost::verify
