// The log: Postfix's layout, and a queue that never makes a worker wait.

#include "proxy/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "proxy/log_record.h"

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

// Calls of write(2) and its like by this process so far.
size_t WritesSoFar() {
  std::ifstream file("/proc/self/io");
  std::string name;
  size_t count = 0;
  while (file >> name >> count) {
    if (name == "syscw:") return count;
  }
  return 0;
}

TEST_F(LogTest, WritesTogetherWhatComesAtOnce) {
  if (WritesSoFar() == 0) GTEST_SKIP() << "the kernel counts no system calls";
  constexpr size_t kLines = 4000;
  const size_t before = WritesSoFar();
  {
    const auto log = Open(Options());
    for (size_t i = 0; i < kLines; ++i) {
      log->Info("line");
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
  }
  EXPECT_EQ(Lines().size(), kLines);
  EXPECT_LT(WritesSoFar() - before, kLines / 4);
}

TEST_F(LogTest, ALineByItselfIsThereAtOnce) {
  const auto log = Open(Options());
  for (size_t i = 1; i <= 3; ++i) {
    log->Info("line");
    const auto end =
        std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (Lines().size() < i && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_EQ(Lines().size(), i);
  }
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

TEST_F(LogTest, GoesOnInANewFileAndLosesNothing) {
  constexpr int kLines = 20000;
  const std::string renamed = path() + ".1";
  LogOptions options = Options();
  options.queue_lines = 2 * kLines;
  {
    const auto log = Open(options);
    std::thread worker([&] {
      for (int i = 0; i < kLines; ++i) log->Info("line " + std::to_string(i));
    });
    for (int i = 0; i < 20; ++i) {
      // As logrotate does it, in the middle of everything.
      rename(path().c_str(), (renamed + std::to_string(i)).c_str());
      EXPECT_TRUE(log->Reopen().ok());
    }
    worker.join();
  }
  size_t lines = Lines().size();
  for (int i = 0; i < 20; ++i) {
    const std::string old = renamed + std::to_string(i);
    std::ifstream file(old);
    for (std::string line; std::getline(file, line);) ++lines;
    unlink(old.c_str());
  }
  EXPECT_EQ(lines, static_cast<size_t>(kLines));
}

TEST_F(LogTest, KeepsTheOldFileWhenThereIsNoNewOne) {
  const std::string folder = path() + ".d";
  ASSERT_EQ(mkdir(folder.c_str(), 0755), 0);
  LogOptions options = Options();
  options.file = folder + "/log";
  const std::string moved = folder + ".moved";
  {
    const auto log = Open(options);
    ASSERT_EQ(rename(folder.c_str(), moved.c_str()), 0);
    const absl::Status reopened = log->Reopen();
    EXPECT_THAT(std::string(MessageOf(reopened)), HasSubstr(options.file));
    log->Info("still here");
  }
  std::ifstream file(moved + "/log");
  std::string line;
  std::getline(file, line);
  EXPECT_THAT(line, HasSubstr("still here"));
  unlink((moved + "/log").c_str());
  rmdir(moved.c_str());
}

TEST_F(LogTest, WritesObjects) {
  LogOptions options = Options();
  options.format = LogFormat::kJson;
  {
    const auto log = Open(options);
    EXPECT_TRUE(log->takes_records());
    log->Warning("\"quoted\" \\ and \xff\n");
    log->Record(LogRecord("session").Number("messages", 2).fields());
  }
  const std::vector<std::string> lines = Lines();
  ASSERT_EQ(lines.size(), 2u);
  const std::string time =
      "\\{\"time\":\"[-0-9]{10}T[:0-9]{8}\\.[0-9]{3}[-+:0-9]{6}\",";
  EXPECT_THAT(lines[0],
              MatchesRegex(
                  time + "\"level\":\"warning\",\"event\":\"line\",\"message\":"
                         "\"\\\\\"quoted\\\\\" \\\\\\\\ and "
                         "\\\\ufffd\\\\u000a\"\\}"));
  EXPECT_THAT(lines[1],
              MatchesRegex(time + "\"level\":\"info\",\"event\":\"session\","
                                  "\"messages\":2\\}"));
}

// A daemon's end of a socket.
class Daemon {
 public:
  explicit Daemon(std::string path) : path_(std::move(path)) { Start(); }
  ~Daemon() { Stop(); }

  void Start() {
    fd_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof(address.sun_path) - 1);
    ASSERT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)),
              0);
    // What does not come fails the test in time.
    const timeval timeout = {.tv_sec = 30, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  }
  void Stop() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
    unlink(path_.c_str());
  }

  std::string Receive() {
    std::string text(1 << 20, '\0');
    const ssize_t got = recv(fd_, text.data(), text.size(), 0);
    text.resize(got < 0 ? 0 : static_cast<size_t>(got));
    return text;
  }

 private:
  const std::string path_;
  int fd_ = -1;
};

TEST_F(LogTest, SpeaksToASyslogDaemonAlsoAfterItsRestart) {
  LogOptions options = Options();
  options.file.clear();
  options.to = LogTo::kSyslog;
  options.syslog_socket = path();
  Daemon daemon(path());
  const auto log = Open(options);
  const std::string head =
      "[A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2} "
      "tlspost/smtpd\\[" +
      std::to_string(getpid()) + "\\]: ";
  log->Info("connect from unknown[192.0.2.1]");
  // Facility mail (2), severity info (6).
  EXPECT_THAT(daemon.Receive(),
              MatchesRegex("<22>" + head +
                           "connect from unknown\\[192\\.0\\.2\\.1\\]"));
  log->Error("bad");
  EXPECT_THAT(daemon.Receive(), MatchesRegex("<19>" + head + "error: bad"));
  daemon.Stop();
  daemon.Start();
  log->Warning("again");
  EXPECT_THAT(daemon.Receive(), MatchesRegex("<20>" + head + "warning: again"));
  EXPECT_EQ(log->dropped(), 0u);
}

TEST_F(LogTest, SpeaksTheJournalsProtocol) {
  LogOptions options = Options();
  options.file.clear();
  options.to = LogTo::kJournal;
  options.journal_socket = path();
  Daemon daemon(path());
  const auto log = Open(options);
  log->Warning("one line");
  const std::string pid = std::to_string(getpid());
  EXPECT_EQ(daemon.Receive(),
            "PRIORITY=4\nSYSLOG_FACILITY=2\nSYSLOG_IDENTIFIER=tlspost/smtpd\n"
            "SYSLOG_PID=" +
                pid + "\nMESSAGE=warning: one line\n");
  log->Info("two\nlines");
  EXPECT_EQ(daemon.Receive(),
            "PRIORITY=6\nSYSLOG_FACILITY=2\nSYSLOG_IDENTIFIER=tlspost/smtpd\n"
            "SYSLOG_PID=" +
                pid + "\nMESSAGE\n" + std::string("\x09\0\0\0\0\0\0\0", 8) +
                "two\nlines\n");
}

TEST_F(LogTest, CountsWhatNoDaemonTakes) {
  LogOptions options = Options();
  options.file.clear();
  options.to = LogTo::kSyslog;
  options.syslog_socket = path();
  auto daemon = std::make_unique<Daemon>(path());
  const auto log = Open(options);
  daemon.reset();
  log->Info("into the void");
  for (int i = 0; i < 3000 && log->dropped() == 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(log->dropped(), 1u);
}

TEST_F(LogTest, CountsWhatAFullDiskDoesNotTake) {
  LogOptions options = Options();
  options.file = "/dev/full";
  const auto log = Open(options);
  for (int i = 0; i < 5; ++i) log->Info("into the void");
  for (int i = 0; i < 3000 && log->dropped() < 5; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_GE(log->dropped(), 5u);
}

TEST_F(LogTest, WhatCouldNotBeWrittenIsSaidWhenThereIsRoom) {
  LogOptions options = Options();
  ASSERT_EQ(symlink("/dev/full", path().c_str()), 0);
  const auto log = Open(options);
  const auto lose = [&](size_t lines) {
    for (size_t lost = 1; lost <= lines; ++lost) {
      log->Info("into the void");
      for (int i = 0; i < 3000 && log->dropped() < lost; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
    }
    ASSERT_EQ(log->dropped(), lines);
  };
  // One by one, as the log would say each time that it has lost one.
  lose(5);
  ASSERT_EQ(unlink(path().c_str()), 0);
  ASSERT_TRUE(log->Reopen().ok());
  const auto write = [&](const std::string& line, size_t lines) {
    log->Info(line);
    for (int i = 0; i < 3000 && Lines().size() < lines; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ASSERT_EQ(Lines().size(), lines);
  };
  write("there is room", 1);
  write("again", 3);
  EXPECT_THAT(Lines()[0], HasSubstr("there is room"));
  EXPECT_THAT(Lines()[1], HasSubstr("warning: 5 log lines could not be "
                                    "written: No space left on device"));
  EXPECT_THAT(Lines()[2], HasSubstr("again"));
}

TEST_F(LogTest, ADaemonThatIsNotThereIsNamed) {
  LogOptions options = Options();
  options.file.clear();
  options.to = LogTo::kJournal;
  options.journal_socket = path() + ".none";
  const auto log = OpenLog(options);
  ASSERT_FALSE(log.ok());
  EXPECT_THAT(std::string(MessageOf(log.status())),
              HasSubstr("log_to: nobody listens at " + path() + ".none"));
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
