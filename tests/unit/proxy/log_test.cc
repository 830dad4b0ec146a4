// The log: Postfix's layout, and a queue that never makes a worker wait.

#include "proxy/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <future>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/base/status.h"

namespace tlspost {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

class LogTest : public ::testing::Test {
 protected:
  LogTest() {
    static int number = 0;
    path_ = testing::TempDir() + "tlspost-log-" + std::to_string(getpid()) +
            "-" + std::to_string(number++);
  }
  ~LogTest() override { unlink(path_.c_str()); }

  LogOptions Options() const {
    LogOptions options;
    options.file = path_;
    options.syslog_name = "tlspost";
    options.hostname = "mx.example.org";
    return options;
  }

  std::unique_ptr<Log> Open(const LogOptions& options) {
    auto log = OpenLog(options);
    EXPECT_TRUE(log.ok()) << MessageOf(log.status());
    return *std::move(log);
  }

  std::vector<std::string> Lines() const {
    std::ifstream file(path_);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST_F(LogTest, WritesPostfixsLayout) {
  {
    const auto log = Open(Options());
    log->Info("connect from unknown[192.0.2.1]");
    log->Warning("be careful");
    log->Error("100% {} broken");
  }
  const std::vector<std::string> lines = Lines();
  ASSERT_EQ(lines.size(), 3u);
  const std::string head =
      "[A-Z][a-z]{2} [0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} "
      "mx\\.example\\.org tlspost/smtpd\\[" +
      std::to_string(getpid()) + "\\]: ";
  EXPECT_THAT(lines[0],
              MatchesRegex(head + "connect from unknown\\[192\\.0\\.2\\.1\\]"));
  EXPECT_THAT(lines[1], MatchesRegex(head + "warning: be careful"));
  EXPECT_THAT(lines[2], MatchesRegex(head + "error: 100% \\{\\} broken"));
}

TEST_F(LogTest, AppendsToAFile) {
  for (int i = 0; i < 2; ++i) Open(Options())->Info("again");
  EXPECT_EQ(Lines().size(), 2u);
}

TEST_F(LogTest, WritesAllThatIsQueuedAtTheEnd) {
  LogOptions options = Options();
  options.queue_lines = 50000;
  {
    const auto log = Open(options);
    for (int i = 0; i < 20000; ++i) log->Info("line " + std::to_string(i));
  }
  const std::vector<std::string> lines = Lines();
  ASSERT_EQ(lines.size(), 20000u);
  EXPECT_THAT(lines.back(), HasSubstr("line 19999"));
}

TEST_F(LogTest, TakesLinesFromManyThreadsWhole) {
  LogOptions options = Options();
  options.queue_lines = 50000;
  {
    const auto log = Open(options);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&log, i] {
        const std::string line(200, static_cast<char>('a' + i));
        for (int n = 0; n < 1000; ++n) log->Info(line);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  const std::vector<std::string> lines = Lines();
  ASSERT_EQ(lines.size(), 4000u);
  for (const std::string& line : lines) {
    const std::string text = line.substr(line.find("]: ") + 3);
    ASSERT_EQ(text, std::string(200, text[0]));
  }
}

TEST_F(LogTest, AFileThatCannotBeOpenedIsNamed) {
  LogOptions options = Options();
  options.file = "/proc/no-such-folder/mail.log";
  const auto log = OpenLog(options);
  ASSERT_FALSE(log.ok());
  const std::string error(MessageOf(log.status()));
  EXPECT_THAT(error, HasSubstr("log_file: "));
  EXPECT_THAT(error, HasSubstr("/proc/no-such-folder/mail.log"));
  EXPECT_EQ(error.find('\n'), std::string::npos) << error;
}

// A FIFO that nobody reads: the writing thread is stuck in write(2).
class StuckFifo {
 public:
  explicit StuckFifo(const std::string& path) {
    EXPECT_EQ(mkfifo(path.c_str(), 0600), 0);
    // Held open, or opening it for writing would wait.
    fd_ = open(path.c_str(), O_RDWR | O_NONBLOCK);
    EXPECT_GE(fd_, 0);
    // The smallest pipe there is, so that it is full soon.
    fcntl(fd_, F_SETPIPE_SZ, 4096);
  }
  ~StuckFifo() { close(fd_); }

  // Reads all that comes until `done` is ready and nothing comes any more.
  std::string ReadUntil(std::future<void>& done) {
    std::string text;
    char buffer[4096];
    while (true) {
      const bool last =
          done.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
      const ssize_t got = read(fd_, buffer, sizeof(buffer));
      if (got > 0) {
        text.append(buffer, static_cast<size_t>(got));
      } else if (last) {
        return text;
      } else {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    }
  }

 private:
  int fd_;
};

int CountOf(std::string_view text, std::string_view what) {
  int count = 0;
  for (size_t at = text.find(what); at != std::string_view::npos;
       at = text.find(what, at + 1)) {
    ++count;
  }
  return count;
}

TEST_F(LogTest, NeverWaitsForASlowSinkAndSaysWhatItDropped) {
  constexpr int kLines = 20000;
  constexpr int kQueue = 100;
  StuckFifo fifo(path());
  LogOptions options = Options();
  options.queue_lines = kQueue;
  auto log = Open(options);
  // Runs beside, so that a log that waits fails the test and not the build.
  std::promise<void> logged_promise;
  std::future<void> logged = logged_promise.get_future();
  std::thread worker([&] {
    for (int i = 0; i < kLines; ++i) {
      log->Info("line number " + std::to_string(i));
    }
    logged_promise.set_value();
  });
  const bool never_waited =
      logged.wait_for(std::chrono::seconds(60)) == std::future_status::ready;
  EXPECT_TRUE(never_waited) << "a worker waits for its log";
  if (never_waited) {
    EXPECT_GT(log->dropped(), kLines / 2u);
  }

  std::promise<void> closed_promise;
  std::future<void> closed = closed_promise.get_future();
  std::thread closer([&] {
    worker.join();
    log.reset();
    closed_promise.set_value();
  });
  const std::string text = fifo.ReadUntil(closed);
  closer.join();

  const int written = CountOf(text, "line number ");
  EXPECT_LT(written, kLines / 2) << "the queue is bounded";
  EXPECT_GE(written, kQueue / 2);
  // What was dropped is said at the end at the latest. The notices themselves
  // may push lines out, but never all of them.
  EXPECT_THAT(text, HasSubstr("log lines were dropped"));
  EXPECT_THAT(text, HasSubstr("warning: "));
  EXPECT_THAT(text, HasSubstr("log_queue_size"));
}

}  // namespace
}  // namespace tlspost
