// Who holds the loop's receive buffers. There are as many as a ring has and no
// more, for all connections of a worker: a client that waits for the mail
// server must hold none, or a thousand of them would leave none for its answer.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "bench/instructions/stage.h"

namespace tlspost::still {
namespace {

constexpr int kWaiting = 20;
constexpr char kEnvelope[] =
    "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\n";

class HeldBuffers : public testing::TestWithParam<bool> {
 protected:
  HeldBuffers() : stage_(StageOptions()) {}

  std::unique_ptr<Client> NewClient() {
    std::unique_ptr<Client> client = stage_.Connect();
    if (GetParam()) {
      stage_.StartTls(*client);
    } else {
      stage_.Exchange(*client, "EHLO client.example.org\r\n", "250-");
    }
    return client;
  }
  size_t held() { return stage_.loop().arrivals().out(); }

  // Says `words` for each of kWaiting clients, while another has the only
  // connection to the mail server; then lets that one finish.
  void Wait(const std::string& words) {
    const std::unique_ptr<Client> holder = NewClient();
    stage_.Exchange(*holder, std::string(kEnvelope) + "DATA\r\n", "250 ");
    EXPECT_EQ(held(), 0u);
    std::vector<std::unique_ptr<Client>> waiting;
    for (int i = 0; i < kWaiting; ++i) {
      waiting.push_back(NewClient());
      waiting.back()->Say(words);
      stage_.Turn();
      EXPECT_EQ(waiting.back()->Hear(), "");
      EXPECT_EQ(held(), 0u) << i;
    }
    stage_.Exchange(*holder, "Subject: x\r\n\r\nx\r\n.\r\n", "250 ");
    stage_.Quit(NewClient());
    EXPECT_TRUE(waiting.front()->Hear().starts_with("250 "));
    for (auto& client : waiting) client->End();
    holder->End();
    stage_.Turn();
  }

  Stage stage_;
};

TEST_P(HeldBuffers, AnIdleClientHoldsNone) {
  const std::unique_ptr<Client> client = NewClient();
  EXPECT_EQ(held(), 0u);
  stage_.Exchange(*client, "NOOP\r\n", "250 ");
  EXPECT_EQ(held(), 0u);
  client->End();
}

TEST_P(HeldBuffers, AClientThatHasSaidQuitHoldsNone) {
  const std::unique_ptr<Client> client = NewClient();
  client->Say("QUIT\r\n");
  stage_.Turn();
  EXPECT_EQ(held(), 0u);
  client->End();
}

// One that takes its replies when it likes.
TEST_P(HeldBuffers, MoreRepliesThanOneTakesHoldNone) {
  const std::unique_ptr<Client> client = NewClient();
  std::string words;
  for (int i = 0; i < 100; ++i) words += "EHLO x\r\n";
  client->Say(words + "QUIT\r\n");
  stage_.Turn();
  EXPECT_EQ(held(), 0u);
  client->End();
}

TEST_P(HeldBuffers, ACommandThatWaitsForTheMailServerHoldsNone) {
  Wait("MAIL FROM:<a@example.org>\r\n");
}

TEST_P(HeldBuffers, AGroupThatWaitsForTheMailServerHoldsNone) {
  Wait(kEnvelope);
}

// More than libssl takes at once: the rest of its input is with us. What comes
// when nobody reads stays in its buffer until those are scarce, so this is as
// much as is read for the first line.
TEST_P(HeldBuffers, MoreThanARecordThatWaitsHoldsNone) {
  std::string words = kEnvelope;
  const size_t octets = GetParam() ? 20'000 : ArrivalBlocks::kBlockSize;
  const std::string recipient = "RCPT TO:<b@example.net>\r\n";
  while (words.size() + recipient.size() <= octets) words += recipient;
  Wait(words);
}

INSTANTIATE_TEST_SUITE_P(Clients, HeldBuffers, testing::Bool(),
                         [](const testing::TestParamInfo<bool>& info) {
                           return info.param ? "Tls" : "Plaintext";
                         });

}  // namespace
}  // namespace tlspost::still
