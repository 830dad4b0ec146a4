// sigwait in a thread.

#include "proxy/signals.h"

#include <pthread.h>

#include <cerrno>
#include <utility>

namespace tlspost {
namespace {

// Ends the watcher's thread; sent to it alone.
constexpr int kStopSignal = SIGUSR2;

}  // namespace

SignalWatcher::SignalWatcher() {
  sigemptyset(&set_);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, kStopSignal}) {
    sigaddset(&set_, number);
  }
  pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

void SignalWatcher::Stop() {
  if (!thread_.joinable()) return;
  pthread_kill(thread_.native_handle(), kStopSignal);
  thread_.join();
}

void SignalWatcher::Start(std::function<void(int)> on_signal) {
  thread_ = std::thread([set = set_, on_signal = std::move(on_signal)] {
    int number = 0;
    while (sigwait(&set, &number) == 0 && number != kStopSignal) {
      on_signal(number);
    }
  });
}

void SignalWatcher::Start(std::function<void(int)> on_signal,
                          std::chrono::milliseconds interval,
                          std::function<void()> on_tick) {
  const timespec wait = {
      .tv_sec = interval.count() / 1000,
      .tv_nsec = interval.count() % 1000 * 1'000'000,
  };
  thread_ = std::thread([set = set_, wait, on_signal = std::move(on_signal),
                         on_tick = std::move(on_tick)] {
    while (true) {
      const int number = sigtimedwait(&set, nullptr, &wait);
      if (number == kStopSignal) return;
      if (number > 0) {
        on_signal(number);
      } else if (errno == EAGAIN) {
        on_tick();
      }
    }
  });
}

}  // namespace tlspost
