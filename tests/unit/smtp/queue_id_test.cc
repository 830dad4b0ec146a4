// Queue ids, in the words of the servers that give them.

#include "common/smtp/queue_id.h"

#include <gtest/gtest.h>

#include <string>

namespace tlspost::smtp {
namespace {

TEST(QueueId, IsFoundInTheWordsOfEachServer) {
  EXPECT_EQ(QueueIdIn("250 2.0.0 Ok: queued as 4Xk2yJ1R7mz9sWb"),
            "4Xk2yJ1R7mz9sWb");
  EXPECT_EQ(QueueIdIn("250 2.0.0 Ok: queued as 9D2A4C0F1\r\n"), "9D2A4C0F1");
  EXPECT_EQ(QueueIdIn("250 OK id=1rXyZa-0007bC-2d"), "1rXyZa-0007bC-2d");
  EXPECT_EQ(QueueIdIn("250 2.0.0 3BKAa1b2004567 Message accepted for delivery"),
            "3BKAa1b2004567");
  EXPECT_EQ(QueueIdIn("250 2.0.0 1a2b3c4d Message accepted for delivery"),
            "1a2b3c4d");
  EXPECT_EQ(QueueIdIn("250 ok 1700000000 qp 4711"), "4711");
  EXPECT_EQ(QueueIdIn("250 2.6.0 <a@b> [InternalId=123456, Hostname=x] Queued "
                      "mail for delivery"),
            "123456");
  EXPECT_EQ(QueueIdIn("250 Message Queued (6F1E-44.1)"), "6F1E-44.1");
  EXPECT_EQ(QueueIdIn("250 2.0.0 Message queued with id 7f00."), "7f00");
}

TEST(QueueId, IsNotGuessed) {
  EXPECT_EQ(QueueIdIn(""), "");
  EXPECT_EQ(QueueIdIn("250 2.0.0 Ok"), "");
  EXPECT_EQ(QueueIdIn("250 Message accepted for delivery"), "");
  EXPECT_EQ(QueueIdIn("250 2.0.0 Message accepted for delivery"), "");
  EXPECT_EQ(QueueIdIn("250 2.0.0 Ok: queued as "), "");
  EXPECT_EQ(QueueIdIn("250 Ok: queued as " + std::string(65, 'A')), "");
  EXPECT_EQ(QueueIdIn("250 Ok: queued as \"}{"), "");
}

}  // namespace
}  // namespace tlspost::smtp
