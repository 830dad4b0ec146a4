// ClientChannel: lines out of any pieces, replies in one write, the message
// read past the lines.

#include "proxy/client_channel.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/io/task_group.h"
#include "tests/sim/sim_loop.h"

namespace tlspost {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

constexpr io::Duration kWriteTimeout = 60s;
constexpr size_t kLineLimit = 100;

// A channel whose client is the other end of a simulated connection.
class ClientChannelTest : public ::testing::Test {
 public:
  ClientChannelTest() : tasks_(loop_) {
    const io::Endpoint endpoint = *io::Endpoint::FromIp("192.0.2.25", 25);
    listener_ = *loop_.Listen(endpoint, io::ListenOptions());
    tasks_.Spawn(Connect(endpoint));
    Settle();
  }
  ~ClientChannelTest() override {
    client_.reset();
    channel_.reset();
    Settle();
    EXPECT_EQ(tasks_.size(), 0u);
    EXPECT_EQ(loop_.blocks().blocks_out(), 0);
  }

  sim::SimLoop& loop() { return loop_; }
  ClientChannel& channel() { return *channel_; }
  io::Stream& client() { return *client_; }
  TraceHub& hub() { return hub_; }
  void CloseClient() { client_.reset(); }

  // Lets everything happen that can without waiting.
  void Settle() {
    loop_.RunUntil([] { return false; }, io::Duration());
  }

  void ClientSays(std::string_view text) {
    tasks_.Spawn(WriteAll(std::string(text)));
    Settle();
  }

  // Awaits more input; the result of Fill.
  absl::Status Fill(io::Duration timeout = 10s) {
    absl::Status status = absl::UnknownError("still waiting");
    tasks_.Spawn(FillOnce(loop_.Now() + timeout, status));
    loop_.RunUntil([this] { return tasks_.size() == 0; }, 2 * timeout);
    return status;
  }

  absl::Status Flush() {
    absl::Status status = absl::UnknownError("still waiting");
    tasks_.Spawn(FlushOnce(status));
    loop_.RunUntil([this] { return tasks_.size() == 0; }, 2 * kWriteTimeout);
    return status;
  }

  // What HasMore says, without waiting for the client.
  bool HasMore() {
    absl::StatusOr<bool> more = absl::UnknownError("still waiting");
    tasks_.Spawn(HasMoreOnce(more));
    Settle();
    EXPECT_TRUE(more.ok()) << more.status();
    return more.value_or(false);
  }

  // The next chunk that the client gets.
  std::string ClientHears() {
    std::string heard;
    tasks_.Spawn(ReadOnce(heard));
    loop_.RunUntil([this] { return tasks_.size() == 0; }, 1s);
    return heard;
  }

  // All lines that are there, "<long>" for one over the limit.
  std::vector<std::string> TakeLines() {
    std::vector<std::string> lines;
    while (const auto line = channel_->TakeLine()) {
      lines.push_back(line->too_long ? "<long>" : std::string(line->text));
    }
    return lines;
  }

 private:
  Task<void> Connect(io::Endpoint endpoint) {
    io::ConnectOp connect(loop_, endpoint, io::kNever);
    auto connected = co_await connect;
    client_ = *std::move(connected);
    auto accepted = co_await listener_->Accept();
    channel_ = std::make_unique<ClientChannel>(*std::move(accepted), kLineLimit,
                                               terms_);
  }
  Task<void> WriteAll(std::string text) {
    const absl::Status written = co_await client_->Write(text, io::kNever);
    EXPECT_TRUE(written.ok()) << written;
  }
  Task<void> FillOnce(io::Time deadline, absl::Status& status) {
    status = co_await channel_->Fill(deadline);
  }
  Task<void> FlushOnce(absl::Status& status) {
    status = co_await channel_->Flush();
  }
  Task<void> HasMoreOnce(absl::StatusOr<bool>& more) {
    more = co_await channel_->HasMore();
  }
  Task<void> ReadOnce(std::string& heard) {
    const io::Time deadline = loop_.Now() + 500ms;
    auto chunk = co_await client_->Read(deadline);
    if (chunk.ok()) heard = std::string(chunk->view());
  }

  TraceHub hub_;
  const ClientChannel::Terms terms_{kWriteTimeout, &hub_};
  sim::SimLoop loop_{/*seed=*/1};
  io::TaskGroup tasks_;
  std::unique_ptr<io::Listener> listener_;
  std::unique_ptr<io::Stream> client_;
  std::unique_ptr<ClientChannel> channel_;
};

using Lines = std::vector<std::string>;

TEST_F(ClientChannelTest, HasNoLineBeforeTheClientSpeaks) {
  EXPECT_FALSE(channel().TakeLine().has_value());
  EXPECT_EQ(channel().unread(), "");
}

TEST_F(ClientChannelTest, GivesTheLinesOfOneChunkOneByOne) {
  ClientSays("EHLO one\r\nNOOP\r\nbare\n\r\n");
  ASSERT_TRUE(Fill().ok());
  EXPECT_EQ(TakeLines(), (Lines{"EHLO one", "NOOP", "bare", ""}));
  EXPECT_FALSE(channel().TakeLine().has_value());
}

TEST_F(ClientChannelTest, JoinsLinesThatAreCutAnywhere) {
  const std::string text = "EHLO one\r\nMAIL FROM:<a@b>\r\nQUIT\r\n";
  for (size_t cut = 1; cut < text.size(); ++cut) {
    SCOPED_TRACE(cut);
    Lines lines;
    for (const std::string& piece : {text.substr(0, cut), text.substr(cut)}) {
      ClientSays(piece);
      ASSERT_TRUE(Fill().ok());
      for (std::string& line : TakeLines()) lines.push_back(std::move(line));
    }
    EXPECT_EQ(lines, (Lines{"EHLO one", "MAIL FROM:<a@b>", "QUIT"}));
  }
}

TEST_F(ClientChannelTest, ALineOverTheLimitIsGoneAndTheNextIsFine) {
  const std::string fits(kLineLimit, 'x');
  ClientSays(fits + "\r\n" + fits + "y\r\nNOOP\r\n");
  ASSERT_TRUE(Fill().ok());
  EXPECT_EQ(TakeLines(), (Lines{fits, "<long>", "NOOP"}));
  for (int i = 0; i < 50; ++i) {
    ClientSays(fits);
    ASSERT_TRUE(Fill().ok());
    EXPECT_EQ(TakeLines(), Lines{});
  }
  ClientSays("\r\nNOOP\r\n");
  ASSERT_TRUE(Fill().ok());
  EXPECT_EQ(TakeLines(), (Lines{"<long>", "NOOP"}));
}

TEST_F(ClientChannelTest, ALinePutBackIsTheNextOne) {
  ClientSays("RCPT\r\nDATA\r\n");
  ASSERT_TRUE(Fill().ok());
  const auto line = channel().TakeLine();
  ASSERT_TRUE(line.has_value());
  channel().PutBack(line->text);
  EXPECT_EQ(TakeLines(), (Lines{"RCPT", "DATA"}));
  channel().PutBack("QUIT");
  EXPECT_EQ(TakeLines(), Lines{"QUIT"});
}

TEST_F(ClientChannelTest, TheMessageIsReadPastTheLines) {
  ClientSays("DATA\r\nSubject: x\r\n\r\nbody\r\n.\r\nQUIT\r\n");
  ASSERT_TRUE(Fill().ok());
  const auto line = channel().TakeLine();
  ASSERT_TRUE(line.has_value());
  EXPECT_EQ(line->text, "DATA");
  const std::string_view message = "Subject: x\r\n\r\nbody\r\n.\r\n";
  EXPECT_TRUE(channel().unread().starts_with(message));
  channel().Consume(10);
  channel().Consume(message.size() - 10);
  EXPECT_EQ(channel().unread(), "QUIT\r\n");
  EXPECT_EQ(TakeLines(), Lines{"QUIT"});
  ClientSays("more");
  ASSERT_TRUE(Fill().ok());
  EXPECT_EQ(channel().unread(), "more");
  channel().Consume(4);
  EXPECT_EQ(channel().unread(), "");
}

TEST_F(ClientChannelTest, HoldsNoBlockWhenAllWasTaken) {
  ClientSays("NOOP\r\n");
  ASSERT_TRUE(Fill().ok());
  EXPECT_EQ(loop().blocks().blocks_out(), 1);
  EXPECT_EQ(TakeLines(), Lines{"NOOP"});
  EXPECT_EQ(loop().blocks().blocks_out(), 0);
  ClientSays("half a li");
  ASSERT_TRUE(Fill().ok());
  EXPECT_EQ(TakeLines(), Lines{});
  EXPECT_EQ(loop().blocks().blocks_out(), 0) << "the half line is a copy";
  ClientSays("ne\r\n");
  ASSERT_TRUE(Fill().ok());
  EXPECT_EQ(TakeLines(), Lines{"half a line"});
}

TEST_F(ClientChannelTest, ParkedInputStaysTheSame) {
  ClientSays("MAIL\r\nRCPT\r\nDA");
  ASSERT_TRUE(Fill().ok());
  const auto line = channel().TakeLine();
  ASSERT_TRUE(line.has_value());
  channel().Park();
  EXPECT_EQ(channel().unread(), "RCPT\r\nDA");
  channel().Park();
  EXPECT_EQ(TakeLines(), Lines{"RCPT"});
  channel().Park();
  ClientSays("TA\r\n");
  ASSERT_TRUE(Fill().ok());
  EXPECT_EQ(TakeLines(), Lines{"DATA"});
}

TEST_F(ClientChannelTest, FillSaysHowTheInputEnded) {
  EXPECT_TRUE(absl::IsDeadlineExceeded(Fill(1s)));
  ClientSays("QUIT");
  EXPECT_TRUE(Fill().ok());
  EXPECT_EQ(TakeLines(), Lines{});
  client().ShutdownWrite();
  EXPECT_TRUE(absl::IsOutOfRange(Fill()));
}

TEST_F(ClientChannelTest, FillOnAClosedConnectionIsCancelled) {
  channel().stream().transport().Close();
  EXPECT_TRUE(absl::IsCancelled(Fill()));
}

Task<void> FillBeside(ClientChannel& channel, absl::Status& status) {
  status = co_await channel.Fill(io::kNever);
}

TEST_F(ClientChannelTest, InterruptEndsAFill) {
  io::TaskGroup beside(loop());
  absl::Status status;
  beside.Spawn(FillBeside(channel(), status));
  Settle();
  EXPECT_EQ(beside.size(), 1u);
  channel().Interrupt();
  Settle();
  EXPECT_EQ(beside.size(), 0u);
  EXPECT_TRUE(absl::IsAborted(status)) << status;
  ClientSays("NOOP\r\n");
  EXPECT_TRUE(Fill().ok());
  EXPECT_EQ(TakeLines(), Lines{"NOOP"});
}

TEST_F(ClientChannelTest, RepliesAreCollectedIntoOneWrite) {
  EXPECT_TRUE(Flush().ok()) << "nothing to say";
  EXPECT_EQ(ClientHears(), "");
  channel().Say("250 one\r\n");
  channel().Say("250 two\r\n");
  EXPECT_EQ(ClientHears(), "") << "not before Flush";
  EXPECT_FALSE(channel().must_flush());
  EXPECT_TRUE(Flush().ok());
  EXPECT_EQ(ClientHears(), "250 one\r\n250 two\r\n");
  EXPECT_TRUE(Flush().ok());
  EXPECT_EQ(ClientHears(), "") << "said once";
}

TEST_F(ClientChannelTest, ManyRepliesMustBeFlushed) {
  const std::string reply(1024, 'r');
  for (int i = 0; i < 15; ++i) channel().Say(reply);
  EXPECT_FALSE(channel().must_flush());
  channel().Say(reply);
  EXPECT_TRUE(channel().must_flush());
  EXPECT_TRUE(Flush().ok());
  EXPECT_FALSE(channel().must_flush());
}

TEST_F(ClientChannelTest, AClientThatTakesNoRepliesIsGivenUp) {
  const io::Time before = loop().Now();
  channel().Say(std::string(1 << 20, 'r'));
  const absl::Status flushed = Flush();
  EXPECT_TRUE(absl::IsDeadlineExceeded(flushed)) << flushed;
  EXPECT_GE(loop().Now() - before, kWriteTimeout);
}

TEST_F(ClientChannelTest, AClientThatHasGoneIsAnError) {
  CloseClient();
  Settle();
  channel().Say("250 ok\r\n");
  const absl::Status flushed = Flush();
  EXPECT_TRUE(absl::IsUnavailable(flushed)) << flushed;
}

TEST_F(ClientChannelTest, DiscardInputForgetsEverythingAndCountsIt) {
  EXPECT_EQ(channel().DiscardInput(), 0u);
  ClientSays("STARTTLS\r\nMAIL\r\nRC");
  ASSERT_TRUE(Fill().ok());
  ASSERT_TRUE(channel().TakeLine().has_value());
  EXPECT_EQ(channel().DiscardInput(), 8u) << "MAIL CRLF RC";
  EXPECT_EQ(channel().unread(), "");
  EXPECT_EQ(TakeLines(), Lines{});

  // Half a line that was consumed already counts as something.
  ClientSays("STARTTLS\r\nRC");
  ASSERT_TRUE(Fill().ok());
  EXPECT_EQ(TakeLines(), Lines{"STARTTLS"});
  EXPECT_GT(channel().DiscardInput(), 0u);
  ClientSays("NOOP\r\n");
  ASSERT_TRUE(Fill().ok());
  EXPECT_EQ(TakeLines(), Lines{"NOOP"}) << "not RCNOOP";

  // What the stream holds already, and a line that was put back.
  channel().stream().transport().Watch();
  ClientSays("injected");
  channel().PutBack("MAIL");
  EXPECT_EQ(channel().DiscardInput(), 12u);
  EXPECT_EQ(TakeLines(), Lines{});
}

TEST_F(ClientChannelTest, KnowsWhetherTheClientHasSaidMore) {
  EXPECT_FALSE(HasMore());
  ClientSays("AUTH LOGIN\r\n");
  ASSERT_TRUE(Fill().ok());
  EXPECT_EQ(TakeLines(), Lines{"AUTH LOGIN"});
  EXPECT_FALSE(HasMore());
  // Received meanwhile, and nobody has read it.
  channel().stream().transport().Watch();
  ClientSays("Z");
  EXPECT_TRUE(HasMore());
  EXPECT_TRUE(HasMore());
  EXPECT_EQ(channel().unread(), "Z");
  channel().Consume(1);
  // The end is no word; Fill tells of it.
  CloseClient();
  Settle();
  EXPECT_FALSE(HasMore());
  EXPECT_TRUE(absl::IsOutOfRange(Fill()));
}

TEST_F(ClientChannelTest, TheLineLimitCanChange) {
  const std::string line(kLineLimit + 1, 'x');
  channel().set_line_length_limit(kLineLimit + 1);
  ClientSays(line + "\r\n" + line + "\r\n");
  ASSERT_TRUE(Fill().ok());
  EXPECT_EQ(channel().TakeLine()->text, line);
  channel().set_line_length_limit(kLineLimit);
  EXPECT_TRUE(channel().TakeLine()->too_long);
  channel().PutBack("AUTH PLAIN secret");
  EXPECT_EQ(channel().TakeLine()->text, "AUTH PLAIN secret");
  channel().WipePutBack();
  EXPECT_FALSE(channel().TakeLine().has_value());
}

// What somebody hears who listens to 192.0.2.0/24, without time and address.
class TracedChannelTest : public ClientChannelTest {
 public:
  void Listen(const char* network = "192.0.2.0/24") {
    number_ = *hub().Open(*io::ParseNetworks({network}), loop().Now());
  }
  std::vector<std::string> Heard() {
    auto batch = hub().Take(number_, loop().Now());
    EXPECT_TRUE(batch.ok());
    for (std::string& line : batch->lines) {
      line.erase(0, line.find(' ', line.find(' ') + 1) + 1);
    }
    return batch->lines;
  }

 private:
  uint64_t number_ = 0;
};

TEST_F(TracedChannelTest, LinesAndRepliesAreHeard) {
  Listen();
  channel().Say("220 mx\r\n");
  ClientSays("EHLO a\r\nNOOP \x1b[2J\r\n");
  ASSERT_TRUE(Fill().ok());
  TakeLines();
  channel().Say("250-mx\r\n250 SIZE\r\n");
  channel().TraceMessage(17);
  EXPECT_EQ(Heard(),
            (std::vector<std::string>{
                "S: 220 mx", "C: EHLO a", "C: NOOP \\x1b[2J", "S: 250-mx",
                "S: 250 SIZE", "(message of 17 octets)"}));
}

TEST_F(TracedChannelTest, AStrangerIsNotHeard) {
  Listen("198.51.100.0/24");
  ClientSays("EHLO a\r\n");
  ASSERT_TRUE(Fill().ok());
  TakeLines();
  channel().Say("250 mx\r\n");
  EXPECT_EQ(Heard(), std::vector<std::string>());
}

TEST_F(TracedChannelTest, SecretsAreMasked) {
  Listen();
  ClientSays("AUTH PLAIN AHRlc3QAc2VjcmV0\r\nauth LOGIN\r\n");
  ASSERT_TRUE(Fill().ok());
  TakeLines();
  channel().Say("334 VXNlcm5hbWU6\r\n");
  ClientSays("c2VjcmV0\r\nMAIL FROM:<a>\r\nc2VjcmV0\r\n");
  ASSERT_TRUE(Fill().ok());
  TakeLines();
  EXPECT_EQ(Heard(),
            (std::vector<std::string>{
                "C: AUTH PLAIN ***", "C: auth LOGIN", "S: 334 ***", "C: ***",
                "C: MAIL FROM:<a>", "C: (unknown command of 8 octets)"}));
}

TEST_F(TracedChannelTest, ALineThatIsPutBackIsHeardOnce) {
  Listen();
  ClientSays("MAIL FROM:<a>\r\n");
  ASSERT_TRUE(Fill().ok());
  const std::string line(channel().TakeLine()->text);
  channel().PutBack(line);
  EXPECT_EQ(channel().TakeLine()->text, line);
  EXPECT_EQ(Heard(), std::vector<std::string>{"C: MAIL FROM:<a>"});
}

using ClientChannelDeathTest = ClientChannelTest;

TEST_F(ClientChannelDeathTest, OnlyOneLineIsPutBack) {
  channel().PutBack("a");
  EXPECT_DEATH(channel().PutBack("b"), "REQUIRE failed: !has_put_back_");
}

}  // namespace
}  // namespace tlspost
