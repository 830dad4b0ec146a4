// The vectorised finders against the definition, at every length and offset.

#include "common/smtp/irregular_finder.h"

#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace tlspost::smtp {
namespace {

std::vector<FindIrregularFunction> Finders() {
  std::vector<FindIrregularFunction> finders = {FindIrregularPortable,
                                                BestFindIrregular()};
  if (FindIrregularBy16() != nullptr) finders.push_back(FindIrregularBy16());
  if (FindIrregularBy32() != nullptr) finders.push_back(FindIrregularBy32());
  return finders;
}

// Clean text: `size` octets of short lines.
std::string CleanText(size_t size) {
  std::string text;
  while (text.size() < size) text += "ab.\r\ncdefghijk.l\r\n";
  text.resize(size);
  if (!text.empty() && text.back() == '\r') text.back() = 'x';
  return text;
}

TEST(FindIrregular, FindsEachKindAtEachPlace) {
  constexpr size_t kMaxSize = 200;
  for (const FindIrregularFunction find : Finders()) {
    for (size_t size = 1; size <= kMaxSize; ++size) {
      const std::string clean(size, 'a');
      ASSERT_EQ(find(clean.data(), 1, size), size);
      for (size_t at = 1; at < size; ++at) {
        std::string text = clean;
        text[at] = '\0';
        ASSERT_EQ(find(text.data(), 1, size), at) << "NUL, size " << size;
        text[at] = '\n';
        ASSERT_EQ(find(text.data(), 1, size), at) << "LF, size " << size;
        text[at] = '.';
        ASSERT_EQ(find(text.data(), 1, size), size) << "dot, size " << size;
        text[at] = '\r';
        ASSERT_EQ(find(text.data(), 1, size), at + 1 < size ? at + 1 : size);
        ASSERT_EQ(find(text.data(), at, size), at + 1 < size ? at + 1 : size);
        if (at + 2 >= size) continue;
        text[at + 1] = '\n';
        ASSERT_EQ(find(text.data(), 1, size), size) << "CRLF, size " << size;
        text[at + 2] = '.';
        ASSERT_EQ(find(text.data(), 1, size), at + 2) << "size " << size;
      }
    }
  }
}

TEST(FindIrregular, IsVectorisedWhereThereIsAPathForIt) {
#if defined(__x86_64__) || defined(__aarch64__)
  EXPECT_NE(FindIrregularBy16(), nullptr);
  EXPECT_NE(BestFindIrregular(), &FindIrregularPortable);
#else
  EXPECT_EQ(BestFindIrregular(), &FindIrregularPortable);
#endif
}

TEST(FindIrregular, CleanTextHasNone) {
  for (const FindIrregularFunction find : Finders()) {
    for (size_t size = 1; size <= 300; ++size) {
      const std::string text = CleanText(size);
      for (size_t begin = 1; begin <= size; begin += 7) {
        ASSERT_EQ(find(text.data(), begin, size), size) << begin;
      }
    }
  }
}

TEST(FindIrregular, AllGiveTheSameAnswers) {
  std::mt19937 random(20261122);
  constexpr std::string_view kAlphabet("\r\n.\0aaaaaaaa", 12);
  const auto finders = Finders();
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    const size_t size = 1 + random() % 150;
    // Some are dense with trouble, some nearly clean.
    const unsigned letters = random() % 2 == 0 ? 12 : 400;
    while (text.size() < size) {
      const size_t pick = random() % letters;
      if (pick < kAlphabet.size()) {
        text += kAlphabet[pick];
      } else {
        text += pick % 20 == 0 ? "\r\n" : "x";
      }
    }
    const size_t begin = 1 + random() % text.size();
    const size_t expected =
        FindIrregularPortable(text.data(), begin, text.size());
    for (const FindIrregularFunction find : finders) {
      ASSERT_EQ(find(text.data(), begin, text.size()), expected)
          << "replay with round " << round;
    }
  }
}

}  // namespace
}  // namespace tlspost::smtp
