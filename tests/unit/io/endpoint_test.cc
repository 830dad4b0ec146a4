// Endpoint: text and kernel addresses, and errors that say what to write.

#include "common/io/endpoint.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>
#include <string>

#include "common/base/status.h"

namespace tlspost::io {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Endpoint ThroughSockaddr(const Endpoint& endpoint) {
  sockaddr_storage storage;
  const socklen_t length = endpoint.ToSockaddr(storage);
  return Endpoint::FromSockaddr(reinterpret_cast<sockaddr*>(&storage), length);
}

std::string ErrorOf(std::string_view text) {
  const auto endpoints = ResolveEndpoints(text);
  EXPECT_FALSE(endpoints.ok()) << text;
  const std::string error(MessageOf(endpoints.status()));
  EXPECT_EQ(error.find('\n'), std::string::npos) << "one line: " << error;
  EXPECT_THAT(error, HasSubstr(std::string(text)));
  return error;
}

TEST(Endpoint, FormatsIpv4) {
  const auto endpoint = Endpoint::FromIp("192.0.2.1", 25);
  ASSERT_TRUE(endpoint.ok());
  EXPECT_EQ(endpoint->family(), AF_INET);
  EXPECT_FALSE(endpoint->is_ipv6());
  EXPECT_FALSE(endpoint->is_unix());
  EXPECT_EQ(endpoint->port(), 25);
  EXPECT_EQ(endpoint->Address(), "192.0.2.1");
  EXPECT_EQ(endpoint->ToString(), "192.0.2.1:25");
}

TEST(Endpoint, FormatsIpv6WithAndWithoutBrackets) {
  for (const char* text : {"2001:db8::1", "[2001:db8::1]"}) {
    const auto endpoint = Endpoint::FromIp(text, 65535);
    ASSERT_TRUE(endpoint.ok()) << text;
    EXPECT_TRUE(endpoint->is_ipv6());
    EXPECT_EQ(endpoint->Address(), "2001:db8::1");
    EXPECT_EQ(endpoint->ToString(), "[2001:db8::1]:65535");
  }
}

TEST(Endpoint, ShowsAMappedAddressAsIpv4) {
  const auto endpoint = Endpoint::FromIp("::ffff:192.0.2.7", 2525);
  ASSERT_TRUE(endpoint.ok());
  EXPECT_TRUE(endpoint->is_ipv6());
  EXPECT_EQ(endpoint->Address(), "192.0.2.7");
  EXPECT_EQ(endpoint->ToString(), "192.0.2.7:2525");
}

TEST(Endpoint, RefusesWhatIsNoAddress) {
  for (const char* text : {"", "localhost", "192.0.2", "192.0.2.256", "[::1",
                           "::1]", ":::", "192.0.2.1 ", "[]"}) {
    const auto endpoint = Endpoint::FromIp(text, 25);
    ASSERT_FALSE(endpoint.ok()) << text;
    EXPECT_THAT(std::string(MessageOf(endpoint.status())),
                HasSubstr("is not an IP address"));
  }
}

TEST(Endpoint, SurvivesTheKernelsForm) {
  const Endpoint v4 = *Endpoint::FromIp("192.0.2.1", 25);
  const Endpoint v6 = *Endpoint::FromIp("2001:db8::1", 465);
  const Endpoint local = Endpoint::Unix("/run/tlspost/smtp");
  EXPECT_EQ(ThroughSockaddr(v4), v4);
  EXPECT_EQ(ThroughSockaddr(v6), v6);
  EXPECT_EQ(ThroughSockaddr(local), local);
}

TEST(Endpoint, KeepsAScope) {
  sockaddr_in6 address = {};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(25);
  address.sin6_scope_id = 3;
  inet_pton(AF_INET6, "fe80::1", &address.sin6_addr);
  const Endpoint endpoint = Endpoint::FromSockaddr(
      reinterpret_cast<sockaddr*>(&address), sizeof(address));
  sockaddr_storage storage;
  endpoint.ToSockaddr(storage);
  EXPECT_EQ(reinterpret_cast<sockaddr_in6*>(&storage)->sin6_scope_id, 3u);
}

TEST(Endpoint, FormatsUnixSockets) {
  const Endpoint endpoint = Endpoint::Unix("/run/x");
  EXPECT_TRUE(endpoint.is_unix());
  EXPECT_EQ(endpoint.family(), AF_UNIX);
  EXPECT_EQ(endpoint.port(), 0);
  EXPECT_EQ(endpoint.ToString(), "unix:/run/x");
  EXPECT_EQ(endpoint.Address(), "unknown");
}

TEST(Endpoint, AnUnnamedUnixClientHasAName) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const Endpoint endpoint = Endpoint::FromSockaddr(
      reinterpret_cast<sockaddr*>(&address), offsetof(sockaddr_un, sun_path));
  EXPECT_TRUE(endpoint.is_unix());
  EXPECT_EQ(endpoint.ToString(), "unix:(unnamed)");
}

TEST(Endpoint, TheLongestUnixPathIsWhole) {
  const std::string path(sizeof(sockaddr_un::sun_path) - 1, 'p');
  const auto endpoints = ResolveEndpoints("unix:" + path);
  ASSERT_TRUE(endpoints.ok());
  EXPECT_EQ(ThroughSockaddr(endpoints->front()).ToString(), "unix:" + path);
}

TEST(Endpoint, AnUnknownFamilyGivesNoAddress) {
  sockaddr address = {};
  address.sa_family = AF_APPLETALK;
  const Endpoint endpoint = Endpoint::FromSockaddr(&address, sizeof(address));
  EXPECT_EQ(endpoint.family(), 0);
  EXPECT_EQ(endpoint.Address(), "unknown");
}

TEST(EndpointDeathTest, AnEmptyOneCannotBeUsed) {
  sockaddr_storage storage;
  EXPECT_DEATH(Endpoint().ToSockaddr(storage), "without an address");
}

TEST(ResolveEndpoints, TakesNumbers) {
  const auto v4 = ResolveEndpoints("192.0.2.1:25");
  ASSERT_TRUE(v4.ok());
  ASSERT_EQ(v4->size(), 1u);
  EXPECT_EQ(v4->front().ToString(), "192.0.2.1:25");
  const auto v6 = ResolveEndpoints("[2001:db8::1]:25");
  ASSERT_TRUE(v6.ok());
  EXPECT_EQ(v6->front().ToString(), "[2001:db8::1]:25");
  const auto any = ResolveEndpoints("127.0.0.1:0");
  ASSERT_TRUE(any.ok());
  EXPECT_EQ(any->front().port(), 0);
}

TEST(ResolveEndpoints, TakesALocalName) {
  const auto endpoints = ResolveEndpoints("localhost:2525");
  ASSERT_TRUE(endpoints.ok()) << MessageOf(endpoints.status());
  ASSERT_FALSE(endpoints->empty());
  for (const Endpoint& endpoint : *endpoints) {
    EXPECT_EQ(endpoint.port(), 2525);
    EXPECT_THAT(endpoint.Address(), testing::AnyOf("127.0.0.1", "::1"));
  }
}

TEST(ResolveEndpoints, NoHostMeansAllAddresses) {
  const auto endpoints = ResolveEndpoints(":2525");
  ASSERT_TRUE(endpoints.ok()) << MessageOf(endpoints.status());
  for (const Endpoint& endpoint : *endpoints) {
    EXPECT_THAT(endpoint.Address(), testing::AnyOf("0.0.0.0", "::"));
  }
}

TEST(ResolveEndpoints, TakesAUnixPath) {
  const auto endpoints = ResolveEndpoints("unix:/run/tlspost:25");
  ASSERT_TRUE(endpoints.ok());
  ASSERT_EQ(endpoints->size(), 1u);
  EXPECT_EQ(endpoints->front().ToString(), "unix:/run/tlspost:25");
}

TEST(ResolveEndpoints, ErrorsNameTheTextAndTheRemedy) {
  EXPECT_THAT(ErrorOf("mail.example.org"),
              AllOf(HasSubstr("names no port"), HasSubstr("HOST:PORT")));
  EXPECT_THAT(ErrorOf(""), HasSubstr("names no port"));
  EXPECT_THAT(ErrorOf("::1"), HasSubstr("in brackets, as [::1]:25"));
  EXPECT_THAT(ErrorOf("2001:db8::1:25"), HasSubstr("in brackets"));
  for (const char* text :
       {"127.0.0.1:", "127.0.0.1:smtp", "127.0.0.1:65536", "127.0.0.1:-1",
        "127.0.0.1:25 ", "127.0.0.1:+25", "127.0.0.1:99999999999"}) {
    EXPECT_THAT(ErrorOf(text), HasSubstr("is not a port number (0 to 65535)"));
  }
  EXPECT_THAT(ErrorOf("unix:"), HasSubstr("1 to 107 octets"));
  EXPECT_THAT(ErrorOf("unix:" + std::string(108, 'p')),
              HasSubstr("1 to 107 octets"));
  // RFC 6761 section 6.4: never resolves.
  EXPECT_THAT(ErrorOf("no-such-host.invalid:25"),
              AllOf(HasSubstr("\"no-such-host.invalid\" has no address"),
                    HasSubstr("check the spelling")));
}

}  // namespace
}  // namespace tlspost::io
