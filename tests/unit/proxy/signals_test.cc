// SignalWatcher: what it hears, and what it does not end by.

#include "proxy/signals.h"

#include <gtest/gtest.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <future>

namespace tlspost {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""s;

using Start =
    std::function<void(SignalWatcher& watcher, std::function<void(int)>)>;

// The first signal that is heard when a stray SIGUSR2 has come before SIGTERM;
// 0: none is. In a process of its own, as signals are.
int HeardBehindAStrayOne(const Start& start) {
  const pid_t child = fork();
  if (child == 0) {
    SignalWatcher watcher;
    std::promise<int> heard;
    start(watcher, [&](int number) { heard.set_value(number); });
    // Of two that wait the one with the lower number is heard first.
    kill(getpid(), SIGUSR2);
    kill(getpid(), SIGTERM);
    auto first = heard.get_future();
    const bool is_heard = first.wait_for(10s) == std::future_status::ready;
    const int number = is_heard ? first.get() : 0;
    watcher.Stop();
    _exit(number);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << status;
  return WEXITSTATUS(status);
}

TEST(SignalWatcher, AStraySignalDoesNotEndIt) {
  EXPECT_EQ(HeardBehindAStrayOne([](SignalWatcher& watcher, auto on_signal) {
              watcher.Start(on_signal);
            }),
            SIGTERM);
}

TEST(SignalWatcher, NorWhenItTicks) {
  EXPECT_EQ(HeardBehindAStrayOne([](SignalWatcher& watcher, auto on_signal) {
              watcher.Start(on_signal, 1h, [] {});
            }),
            SIGTERM);
}

}  // namespace
}  // namespace tlspost
