// Sizes of chunks, read and written.

#include "common/smtp/bdat.h"

#include <string>

#include "gtest/gtest.h"

namespace tlspost::smtp {
namespace {

// "SIZE" or "SIZE LAST"; the refusal's code if it is none.
std::string Read(std::string_view line) {
  const auto chunk = ParseBdat(ParseCommand(line));
  if (!chunk.ok()) return std::to_string(chunk.refusal().code());
  std::string command;
  AppendBdat(*chunk, command);
  return command;
}

TEST(Bdat, Rfc3030_2_SizesAndTheLast) {
  EXPECT_EQ(Read("BDAT 0"), "BDAT 0\r\n");
  EXPECT_EQ(Read("bdat 86 last"), "BDAT 86 LAST\r\n");
  EXPECT_EQ(Read(" BDAT  0086\tLAST "), "BDAT 86 LAST\r\n");
  EXPECT_EQ(Read("BDAT 4611686018427387904"), "BDAT 4611686018427387904\r\n");
}

TEST(Bdat, E095NoCertainSizeIsNone) {
  for (const char* line :
       {"BDAT", "BDAT LAST", "BDAT -1", "BDAT +1", "BDAT 1.5", "BDAT 0x10",
        "BDAT 4611686018427387905", "BDAT 18446744073709551616",
        "BDAT 123456789012345678901", "BDAT 1 LAST x", "BDAT 1 LASTX",
        "BDAT 1 2", "BDAT 1\x01", "BDAT 1\r"}) {
    EXPECT_EQ(Read(line), "501") << line;
  }
}

// Nobody else may take such a line for a BDAT, or everybody: the chunk that may
// follow is no command.
TEST(Bdat, E095WithControlOctetsIsOneWithoutASize) {
  for (const std::string_view line :
       {std::string_view("BDAT\x01 5"), std::string_view("\0BDAT 5", 7),
        std::string_view("BD\0AT 5 LAST", 12), std::string_view(" bdat\x7f")}) {
    EXPECT_EQ(ParseCommand(line).verb, Verb::kBdat) << line;
    EXPECT_EQ(Read(line), "501") << line;
  }
  for (const char* line : {"\x01",
                           "\x01"
                           "BDA 5",
                           "XBDAT \x01", "NOOP\x01"}) {
    EXPECT_NE(ParseCommand(line).verb, Verb::kBdat) << line;
  }
}

}  // namespace
}  // namespace tlspost::smtp
