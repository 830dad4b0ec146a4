// Who would connect to itself.

#include "common/io/own_address.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>
#include <vector>

namespace tlspost::io {
namespace {

Endpoint AddressOf(std::string_view text) {
  return ResolveEndpoints(text)->front();
}

bool Leads(std::string_view to, std::string_view listening) {
  const std::vector<AddressBytes> own = {BytesOf(AddressOf("192.0.2.1:0")),
                                         BytesOf(AddressOf("[2001:db8::1]:0"))};
  return LeadsTo(AddressOf(to), AddressOf(listening), own);
}

TEST(OwnAddress, WhoListensThereIsReached) {
  EXPECT_TRUE(Leads("192.0.2.1:25", "192.0.2.1:25"));
  EXPECT_TRUE(Leads("192.0.2.1:25", "0.0.0.0:25"));
  EXPECT_TRUE(Leads("192.0.2.1:25", "[::]:25"));
  EXPECT_TRUE(Leads("[::ffff:192.0.2.1]:25", "192.0.2.1:25"));
  EXPECT_TRUE(Leads("[2001:db8::1]:25", "[::]:25"));
  EXPECT_TRUE(Leads("127.0.0.1:25", "0.0.0.0:25"));
  EXPECT_TRUE(Leads("127.3.2.1:25", "[::]:25"));
  EXPECT_TRUE(Leads("[::1]:25", "[::]:25"));
  EXPECT_TRUE(Leads("0.0.0.0:25", "127.0.0.1:25"));
  EXPECT_TRUE(Leads("0.0.0.0:25", "0.0.0.0:25"));
  EXPECT_TRUE(Leads("unix:/run/x", "unix:/run/x"));
}

TEST(OwnAddress, NobodyElseIs) {
  EXPECT_FALSE(Leads("192.0.2.1:26", "192.0.2.1:25"));
  EXPECT_FALSE(Leads("192.0.2.1:0", "0.0.0.0:0"));
  EXPECT_FALSE(Leads("192.0.2.2:25", "192.0.2.1:25"));
  EXPECT_FALSE(Leads("192.0.2.2:25", "0.0.0.0:25"));
  EXPECT_FALSE(Leads("192.0.2.2:25", "[::]:25"));
  EXPECT_FALSE(Leads("127.0.0.1:25", "192.0.2.1:25"));
  EXPECT_FALSE(Leads("[2001:db8::1]:25", "0.0.0.0:25"));
  EXPECT_FALSE(Leads("[::1]:25", "0.0.0.0:25"));
  EXPECT_FALSE(Leads("0.0.0.0:25", "192.0.2.1:25"));
  EXPECT_FALSE(Leads("unix:/run/x", "0.0.0.0:25"));
  EXPECT_FALSE(Leads("unix:/run/x", "unix:/run/y"));
}

TEST(OwnAddress, LoopbackIsAmongTheInterfaces) {
  const std::vector<AddressBytes> own = OwnAddresses();
  EXPECT_NE(
      std::find(own.begin(), own.end(), BytesOf(AddressOf("127.0.0.1:0"))),
      own.end());
}

}  // namespace
}  // namespace tlspost::io
