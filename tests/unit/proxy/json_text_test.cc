// Any octets as a JSON string.

#include "proxy/json_text.h"

#include <gtest/gtest.h>

#include <string>

namespace tlspost {
namespace {

TEST(JsonText, EscapesWhatMustBe) {
  EXPECT_EQ(JsonQuoted(""), "\"\"");
  EXPECT_EQ(JsonQuoted("a\"b\\c\n"), R"("a\"b\\c\u000a")");
  EXPECT_EQ(JsonQuoted(std::string_view("\0", 1)), R"("\u0000")");
}

TEST(JsonText, KeepsUtf8AndReplacesWhatIsNone) {
  EXPECT_EQ(JsonQuoted("\xc3\xa4\xe2\x82\xac\xf0\x9f\x93\xa7"),
            "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x93\xa7\"");
  EXPECT_EQ(JsonQuoted("\xff"), R"("\ufffd")");
  EXPECT_EQ(JsonQuoted("\xc0\x80"), R"("\ufffd\ufffd")");           // overlong
  EXPECT_EQ(JsonQuoted("\xed\xa0\x80").substr(0, 7), "\"\\ufffd");  // surrogate
  EXPECT_EQ(JsonQuoted("\xe2\x82"), R"("\ufffd\ufffd")");           // cut off
}

}  // namespace
}  // namespace tlspost
