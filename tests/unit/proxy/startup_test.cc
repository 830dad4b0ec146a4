// Addresses and limits that a start depends on.

#include "proxy/startup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/base/status.h"

namespace tlspost {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;

TEST(Startup, AddressesKeepTheirSettingAndTerms) {
  Settings settings;
  settings.listen = {"127.0.0.1:25"};
  settings.listen_tls = {"127.0.0.1:465"};
  ListenerRule rule;
  rule.place = "t.toml:3:1";
  rule.addresses = {"127.0.0.1:587", "127.0.0.1:466"};
  rule.implicit_tls = true;
  settings.listeners = {rule};
  const auto texts = ListenTextsOf(settings);
  ASSERT_THAT(texts, SizeIs(4));
  EXPECT_EQ(texts[0].setting, "listen");
  EXPECT_FALSE(texts[0].implicit_tls);
  EXPECT_EQ(texts[1].setting, "listen_tls");
  EXPECT_TRUE(texts[1].implicit_tls);
  EXPECT_EQ(texts[1].terms, 0u);
  EXPECT_EQ(texts[3].setting, "t.toml:3:1: address");
  EXPECT_EQ(texts[3].text, "127.0.0.1:466");
  EXPECT_EQ(texts[3].terms, 1u);

  std::vector<ListenAddress> addresses;
  for (const ListenText& text : texts) {
    EXPECT_TRUE(AddListenAddresses(text, addresses).ok());
  }
  ASSERT_THAT(addresses, SizeIs(4));
  EXPECT_EQ(addresses[2].endpoint.ToString(), "127.0.0.1:587");
  EXPECT_EQ(addresses[2].terms, 1u);
}

TEST(Startup, TheSameAddressTwiceIsAnErrorUnlessTheKernelChooses) {
  std::vector<ListenAddress> addresses;
  const ListenText once = {"listen", "127.0.0.1:2525", false, 0};
  EXPECT_TRUE(AddListenAddresses(once, addresses).ok());
  EXPECT_EQ(MessageOf(AddListenAddresses(once, addresses)),
            "listen: 127.0.0.1:2525 is given twice; give it once");
  const ListenText any = {"listen", "127.0.0.1:0", false, 0};
  EXPECT_TRUE(AddListenAddresses(any, addresses).ok());
  EXPECT_TRUE(AddListenAddresses(any, addresses).ok());
}

TEST(Startup, ABackendKeepsItsName) {
  const auto addresses = ResolveBackend("127.0.0.1:10025");
  ASSERT_TRUE(addresses.ok());
  ASSERT_THAT(*addresses, SizeIs(1));
  EXPECT_EQ(addresses->front().name, "127.0.0.1:10025");
  EXPECT_THAT(MessageOf(ResolveBackend("127.0.0.1:nowhere").status()),
              StartsWith("backend: "));
}

TEST(Startup, ABackendIsNotWhereWeListen) {
  std::vector<ListenAddress> listen;
  const ListenText any = {"listen", "0.0.0.0:2525", false, 0};
  ASSERT_TRUE(AddListenAddresses(any, listen).ok());
  EXPECT_TRUE(
      CheckIsOther(ResolveBackend("127.0.0.1:2526")->front(), listen).ok());
  EXPECT_THAT(MessageOf(CheckIsOther(ResolveBackend("127.0.0.1:2525")->front(),
                                     listen)),
              StartsWith("backend: 127.0.0.1:2525 is this tlspost itself"));
}

TEST(Startup, TheAdministratorsPageIsForThisMachine) {
  Settings settings;
  EXPECT_THAT(*ResolveAdminListen(settings), SizeIs(0));
  settings.admin_listen = "127.0.0.1:9925";
  EXPECT_THAT(*ResolveAdminListen(settings), SizeIs(1));
  settings.admin_listen = "0.0.0.0:9925";
  EXPECT_THAT(MessageOf(ResolveAdminListen(settings).status()),
              HasSubstr("set admin_allow_remote = yes"));
  settings.admin_allow_remote = true;
  EXPECT_TRUE(ResolveAdminListen(settings).ok());
}

TEST(Startup, ClientsGetTheDescriptorsThatAreLeft) {
  Settings settings;
  settings.workers = 2;
  settings.max_connections = 1000;
  std::string warning;
  EXPECT_EQ(*ClientsWithin(100'000, settings, 1, &warning), 1000);
  EXPECT_EQ(warning, "");
  const auto fewer = ClientsWithin(1000, settings, 1, &warning);
  ASSERT_TRUE(fewer.ok());
  EXPECT_LT(*fewer, 1000);
  EXPECT_THAT(warning,
              HasSubstr("lowered from 1000 to " + std::to_string(*fewer)));
  EXPECT_THAT(MessageOf(ClientsWithin(100, settings, 1, &warning).status()),
              HasSubstr("LimitNOFILE="));
}

}  // namespace
}  // namespace tlspost
