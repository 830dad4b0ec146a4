// How findings look to people and to programs.

#include "proxy/check/check_report.h"

#include <gtest/gtest.h>

#include <vector>

namespace tlspost {
namespace {

std::vector<Finding> Four() {
  std::vector<Finding> findings;
  AreaFindings found("area", findings);
  found.Ok("port", "free");
  found.Note("that", "is so");
  found.Warn("a\nb", "two\r\nlines");
  found.Fail("file", "is gone; look for it");
  return findings;
}

TEST(CheckReport, IsALineForEachAndTheirNumber) {
  EXPECT_EQ(FormatFindings(Four()),
            "OK    port: free\n"
            "NOTE  that: is so\n"
            "WARN  a?b: two??lines\n"
            "FAIL  file: is gone; look for it\n"
            "1 OK, 1 NOTE, 1 WARN, 1 FAIL\n");
}

TEST(CheckReport, JsonIsJsonWhateverIsInIt) {
  std::vector<Finding> findings;
  AreaFindings found("area", findings);
  found.Warn("q\"b\\c\n", "\xc3\xa4 \xff \xe2\x82 \xed\xa0\x80");
  EXPECT_EQ(FormatFindingsJson(findings),
            "{\"findings\": [\n"
            "  {\"verdict\": \"WARN\", \"area\": \"area\", \"thing\": "
            "\"q\\\"b\\\\c\\u000a\", \"text\": \"\xc3\xa4 \\ufffd "
            "\\ufffd\\ufffd \\ufffd\\ufffd\\ufffd\"}\n"
            "], \"ok\": 0, \"note\": 0, \"warn\": 1, \"fail\": 0}\n");
  EXPECT_EQ(FormatFindingsJson({}),
            "{\"findings\": [\n], \"ok\": 0, \"note\": 0, \"warn\": 0, "
            "\"fail\": 0}\n");
}

TEST(CheckReport, TheWorstDecidesTheExitStatus) {
  std::vector<Finding> findings;
  AreaFindings found("area", findings);
  found.Ok("a", "b");
  found.Note("a", "b");
  EXPECT_EQ(ExitStatus(findings, /*strict=*/true), 0);
  found.Warn("a", "b");
  EXPECT_EQ(ExitStatus(findings, /*strict=*/false), 0);
  EXPECT_EQ(ExitStatus(findings, /*strict=*/true), 1);
  found.Fail("a", "b");
  EXPECT_EQ(ExitStatus(findings, /*strict=*/false), 1);
}

}  // namespace
}  // namespace tlspost
