// Objects for the log are JSON, whatever is in them.

#include "proxy/log_record.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tlspost {
namespace {

TEST(LogRecord, HasItsFieldsInOrder) {
  const std::vector<std::string> to = {"a@example.org", "b@example.org"};
  LogRecord record("transaction");
  record.Text("from", "")
      .Texts("to", to)
      .Number("octets", 18446744073709551615u)
      .Seconds("delay", 1.0625)
      .Flag("tls_resumed", false)
      .TextIfAny("sni", "")
      .TextIfAny("helo", "mx");
  EXPECT_EQ(record.fields(),
            "\"event\":\"transaction\",\"from\":\"\","
            "\"to\":[\"a@example.org\",\"b@example.org\"],"
            "\"octets\":18446744073709551615,\"delay\":1.062,"
            "\"tls_resumed\":false,\"helo\":\"mx\"");
}

// Every octet, and every pair of octets from the upper half: no quote, line end
// or broken UTF-8 gets through.
TEST(LogRecord, HostileOctetsStayInTheirField) {
  std::vector<std::string> hostile;
  for (int first = 0; first < 256; ++first) {
    hostile.emplace_back(1, static_cast<char>(first));
    for (int second = 0x80; first >= 0x80 && second < 256; ++second) {
      hostile.push_back({static_cast<char>(first), static_cast<char>(second)});
    }
  }
  hostile.push_back("\xed\xa0\x80");      // a surrogate
  hostile.push_back("\xf4\x90\x80\x80");  // above U+10FFFF
  hostile.push_back("\xe2\x82");          // cut off
  hostile.push_back("\",\"status\":\"sent");
  for (const std::string& octets : hostile) {
    LogRecord record("x");
    record.Text("y", octets);
    const std::string& fields = record.fields();
    const std::string head = "\"event\":\"x\",\"y\":\"";
    ASSERT_TRUE(fields.starts_with(head));
    ASSERT_TRUE(fields.ends_with('"'));
    const std::string value =
        fields.substr(head.size(), fields.size() - head.size() - 1);
    for (size_t i = 0; i < value.size(); ++i) {
      const auto octet = static_cast<unsigned char>(value[i]);
      ASSERT_GE(octet, 0x20) << "octet " << i << " of " << value;
      ASSERT_FALSE(octet == '"' && (i == 0 || value[i - 1] != '\\')) << value;
    }
    const bool is_utf8 = octets.size() == 2 &&
                         static_cast<unsigned char>(octets[0]) >= 0xc2 &&
                         static_cast<unsigned char>(octets[0]) <= 0xdf &&
                         static_cast<unsigned char>(octets[1]) <= 0xbf;
    const bool is_high = static_cast<unsigned char>(octets[0]) >= 0x80;
    if (is_high) {
      EXPECT_EQ(value.find("\\ufffd") == std::string::npos, is_utf8) << value;
    }
  }
}

}  // namespace
}  // namespace tlspost
