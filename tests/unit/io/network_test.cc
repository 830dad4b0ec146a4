// Networks: how they are written, and who is in them.

#include "common/io/network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/base/status.h"

namespace tlspost::io {
namespace {

using ::testing::HasSubstr;

Endpoint At(std::string_view address) { return *Endpoint::FromIp(address, 25); }

bool Has(std::string_view network, std::string_view address) {
  const auto parsed = Network::Parse(network);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return parsed.ok() && parsed->Contains(At(address));
}

TEST(Network, HasTheAddressesOfItsPrefix) {
  EXPECT_TRUE(Has("192.0.2.0/24", "192.0.2.0"));
  EXPECT_TRUE(Has("192.0.2.0/24", "192.0.2.255"));
  EXPECT_FALSE(Has("192.0.2.0/24", "192.0.3.0"));
  EXPECT_TRUE(Has("192.0.2.128/25", "192.0.2.129"));
  EXPECT_FALSE(Has("192.0.2.128/25", "192.0.2.127"));
  EXPECT_TRUE(Has("2001:db8::/32", "2001:db8:ffff::1"));
  EXPECT_FALSE(Has("2001:db8::/32", "2001:db9::1"));
  EXPECT_TRUE(Has("[2001:db8::]/33", "2001:db8:7fff::1"));
  EXPECT_FALSE(Has("[2001:db8::]/33", "2001:db8:8000::1"));
}

TEST(Network, AnAddressAloneStandsForItself) {
  EXPECT_TRUE(Has("192.0.2.7", "192.0.2.7"));
  EXPECT_FALSE(Has("192.0.2.7", "192.0.2.6"));
  EXPECT_TRUE(Has("::1", "::1"));
  EXPECT_FALSE(Has("::1", "::2"));
}

TEST(Network, ZeroBitsAreOneFamily) {
  EXPECT_TRUE(Has("0.0.0.0/0", "203.0.113.9"));
  EXPECT_FALSE(Has("0.0.0.0/0", "2001:db8::1"));
  EXPECT_TRUE(Has("::/0", "2001:db8::1"));
}

TEST(Network, AnIpv4ClientOnAnIpv6SocketIsTheSameClient) {
  EXPECT_TRUE(Has("192.0.2.0/24", "::ffff:192.0.2.9"));
  EXPECT_FALSE(Has("192.0.2.0/24", "::ffff:198.51.100.9"));
}

TEST(Network, HasNoUnixSocket) {
  EXPECT_FALSE(Network::Parse("127.0.0.0/8")->Contains(Endpoint::Unix("/x")));
}

TEST(Network, SaysWhatIsWrong) {
  const auto error = [](std::string_view text) {
    return std::string(MessageOf(Network::Parse(text).status()));
  };
  EXPECT_THAT(error("localhost"), HasSubstr("\"localhost\" is no network"));
  EXPECT_THAT(error("192.0.2.0/33"), HasSubstr("from 0 to 32"));
  EXPECT_THAT(error("192.0.2.0/"), HasSubstr("from 0 to 32"));
  EXPECT_THAT(error("192.0.2.0/2x"), HasSubstr("from 0 to 32"));
  EXPECT_THAT(error("2001:db8::/129"), HasSubstr("from 0 to 128"));
  EXPECT_THAT(error("192.0.2.1/24"), HasSubstr("bits set behind its prefix"));
  EXPECT_THAT(error(""), HasSubstr("is no network"));
}

TEST(Network, AnyContainsLooksAtAll) {
  const auto networks = ParseNetworks({"10.0.0.0/8", "::1"});
  ASSERT_TRUE(networks.ok());
  EXPECT_TRUE(AnyContains(*networks, At("10.1.2.3")));
  EXPECT_TRUE(AnyContains(*networks, At("::1")));
  EXPECT_FALSE(AnyContains(*networks, At("11.1.2.3")));
  EXPECT_FALSE(AnyContains({}, At("10.1.2.3")));
  EXPECT_FALSE(ParseNetworks({"10.0.0.0/8", "x"}).ok());
}

}  // namespace
}  // namespace tlspost::io
