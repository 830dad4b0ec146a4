// The messages of the load generator: exact sizes, legal text, marks that the
// sink can read.

#include "bench/load/message_text.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "bench/verify/mark.h"
#include "common/smtp/data_scanner.h"

namespace tlspost::load {
namespace {

constexpr size_t kLargest = 100'000;

std::string Whole(const OutgoingMessage& message) {
  return message.header + std::string(message.body);
}

OutgoingMessage Make(size_t octets, uint64_t random) {
  static const MessageText text(kLargest);
  return text.Make({5, 6}, "a@b", "c@d", octets, random);
}

TEST(MessageText, AMessageHasTheOctetsThatWereAskedFor) {
  const size_t least = Make(0, 0).octets();
  EXPECT_LT(least, 250u);
  for (size_t octets = least; octets < least + 500; ++octets) {
    ASSERT_EQ(Make(octets, octets * 977).octets(), octets);
  }
  EXPECT_EQ(Make(kLargest, ~uint64_t{0}).octets(), kLargest);
}

TEST(MessageText, IsCleanTextWhereverItIsCutOut) {
  bool any_dots = false;
  for (uint64_t random = 0; random < 300; ++random) {
    std::string wire = Whole(Make(3000 + random, random * 31));
    any_dots = any_dots || wire.find("\r\n..") != std::string::npos;
    wire += ".\r\n";
    smtp::DataScanner scanner(smtp::BareNewline::kReject);
    std::string scratch;
    const auto result = scanner.Scan(wire, scratch);
    ASSERT_TRUE(result.end);
    ASSERT_EQ(result.consumed, wire.size());
    ASSERT_FALSE(scanner.violations().any());
  }
  EXPECT_TRUE(any_dots) << "stuffed dots are to be on the way too";
}

TEST(MessageText, LinesAreShortAndTheHeaderEnds) {
  const std::string wire = Whole(Make(20'000, 3));
  EXPECT_NE(wire.find("\r\n\r\n"), std::string::npos);
  for (size_t begin = 0; begin < wire.size();) {
    const size_t end = wire.find("\r\n", begin);
    ASSERT_LE(end - begin, 200u);
    begin = end + 2;
  }
}

TEST(MessageText, ItsFingerprintIsWhatTheSinkReads) {
  const OutgoingMessage message = Make(5000, 77);
  const auto marked =
      verify::ReadMarked("Received: from x\r\n" + Whole(message));
  ASSERT_TRUE(marked.has_value());
  EXPECT_EQ(marked->mark.run, 5u);
  EXPECT_EQ(marked->mark.sequence, 6u);
  EXPECT_EQ(marked->body, message.fingerprint());
}

}  // namespace
}  // namespace tlspost::load
