// UnixChannel and UnixListener: lines, descriptors, and who has the path.

#include "common/io/unix_channel.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace tlspost::io {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

class UnixChannelTest : public ::testing::Test {
 protected:
  UnixChannelTest() {
    std::string name =
        (std::filesystem::temp_directory_path() / "unix-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    path_ = folder_ + "/control";
  }
  ~UnixChannelTest() override { std::filesystem::remove_all(folder_); }

  UnixListener Listen(bool take_over = false) {
    auto listener = UnixListener::Open(path_, take_over);
    EXPECT_TRUE(listener.ok()) << listener.status();
    return *std::move(listener);
  }

  // Both ends of one channel.
  struct Pair {
    UnixChannel client;
    UnixChannel server;
  };
  static Pair MakePair() {
    int ends[2] = {};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    return {UnixChannel(Descriptor(ends[0])), UnixChannel(Descriptor(ends[1]))};
  }

  std::string folder_;
  std::string path_;
};

TEST_F(UnixChannelTest, LinesComeWholeHoweverTheyWereSent) {
  Pair pair = MakePair();
  ASSERT_TRUE(pair.client.Write("one\ntwo\nthr").ok());
  EXPECT_EQ(*pair.server.ReadLine(1s), "one");
  EXPECT_EQ(*pair.server.ReadLine(1s), "two");
  ASSERT_TRUE(pair.client.Write("ee\n").ok());
  EXPECT_EQ(*pair.server.ReadLine(1s), "three");
}

TEST_F(UnixChannelTest, SilenceEndsAndSoDoesALineWithoutEnd) {
  Pair pair = MakePair();
  EXPECT_TRUE(absl::IsDeadlineExceeded(pair.server.ReadLine(10ms).status()));
  ASSERT_TRUE(
      pair.client.Write(std::string(UnixChannel::kMaxLine + 1024, 'x')).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(pair.server.ReadLine(1s).status()));
  pair.client.Shutdown();
  Pair other = MakePair();
  other.client.Shutdown();
  EXPECT_TRUE(absl::IsUnavailable(other.server.ReadLine(1s).status()));
  EXPECT_FALSE(other.server.Write("x").ok());
}

TEST_F(UnixChannelTest, DescriptorsArriveAsTheSameFiles) {
  Pair pair = MakePair();
  constexpr size_t kCount = UnixChannel::kDescriptorsAtOnce + 3;
  int ends[2] = {};
  ASSERT_EQ(pipe(ends), 0);
  const Descriptor reading(ends[0]);
  std::vector<Descriptor> sent;
  for (size_t i = 1; i < kCount; ++i) sent.emplace_back(dup(reading.get()));
  sent.emplace_back(ends[1]);
  ASSERT_TRUE(pair.server.SendDescriptors(sent).ok());
  sent.clear();
  auto got = pair.client.ReceiveDescriptors(kCount, 1s);
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_EQ(got->size(), kCount);
  EXPECT_EQ(write(got->back().get(), "x", 1), 1);
  char octet = 0;
  EXPECT_EQ(read((*got)[7].get(), &octet, 1), 1);
  EXPECT_EQ(octet, 'x');
}

TEST_F(UnixChannelTest, ThePathIsItsOwnersAloneAndGoesWithTheListener) {
  {
    UnixListener listener = Listen();
    struct stat made = {};
    ASSERT_EQ(stat(path_.c_str(), &made), 0);
    EXPECT_EQ(made.st_mode & 07777, 0600u);
    auto client = UnixChannel::Connect(path_);
    ASSERT_TRUE(client.ok()) << client.status();
    ASSERT_TRUE(client->Write("hello\n").ok());
    auto accepted = listener.Accept();
    ASSERT_TRUE(accepted.ok());
    EXPECT_EQ(*accepted->ReadLine(1s), "hello");
  }
  EXPECT_FALSE(std::filesystem::exists(path_));
  EXPECT_TRUE(absl::IsNotFound(UnixChannel::Connect(path_).status()));
}

TEST_F(UnixChannelTest, OnlyATakeoverReplacesWhoListens) {
  std::optional<UnixListener> first(Listen());
  EXPECT_TRUE(absl::IsAlreadyExists(UnixListener::Open(path_, false).status()));
  UnixListener second = Listen(/*take_over=*/true);
  // The first one's end is not the path's.
  first.reset();
  EXPECT_TRUE(UnixChannel::Connect(path_).ok());
}

// A client that connects is this one's.
void ExpectServes(UnixListener& listener, const std::string& path) {
  auto client = UnixChannel::Connect(path);
  ASSERT_TRUE(client.ok()) << client.status();
  ASSERT_TRUE(client->Write("hello\n").ok());
  while (true) {
    auto accepted = listener.Accept();
    ASSERT_TRUE(accepted.ok()) << accepted.status();
    // Who only looked whether somebody is there has said nothing.
    const auto line = accepted->ReadLine(1s);
    if (line.ok()) return;
  }
}

TEST_F(UnixChannelTest, WithoutCommitThePathIsTheFirstOnesAgain) {
  UnixListener first = Listen();
  {
    UnixListener second = Listen(/*take_over=*/true);
    ExpectServes(second, path_);
  }
  ExpectServes(first, path_);
  EXPECT_FALSE(std::filesystem::exists(path_ + ".new"));
}

TEST_F(UnixChannelTest, AfterCommitThePathIsTheSecondOnes) {
  std::optional<UnixListener> first(Listen());
  {
    UnixListener second = Listen(/*take_over=*/true);
    second.Commit();
    EXPECT_FALSE(std::filesystem::exists(path_ + ".new"));
    first.reset();
    ExpectServes(second, path_);
  }
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(UnixChannelTest, WhatADeadProcessLeftBehindIsReplaced) {
  {
    UnixListener dead = Listen();
    std::filesystem::rename(path_, path_ + ".kept");
  }
  std::filesystem::rename(path_ + ".kept", path_);
  EXPECT_TRUE(absl::IsNotFound(UnixChannel::Connect(path_).status()));
  UnixListener listener = Listen();
  EXPECT_TRUE(UnixChannel::Connect(path_).ok());
}

TEST_F(UnixChannelTest, ShutdownEndsAnAcceptThatWaits) {
  UnixListener listener = Listen();
  std::thread waiting(
      [&] { EXPECT_TRUE(absl::IsCancelled(listener.Accept().status())); });
  listener.Shutdown();
  waiting.join();
}

}  // namespace
}  // namespace tlspost::io
