// sigwait in a thread.

#include "proxy/signals.h"

#include <pthread.h>

#include <cerrno>
#include <utility>

namespace tlspost {
namespace {

// Ends the watcher's thread, to which Stop sends it; of no meaning else.
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
  stopping_ = true;
  pthread_kill(thread_.native_handle(), kStopSignal);
  thread_.join();
}

bool SignalWatcher::Ends(int number) const {
  return number == kStopSignal && stopping_;
}

void SignalWatcher::Start(std::function<void(int)> on_signal) {
  thread_ = std::thread([this, on_signal = std::move(on_signal)] {
    int number = 0;
    while (sigwait(&set_, &number) == 0 && !Ends(number)) {
      if (number != kStopSignal) on_signal(number);
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
  thread_ = std::thread([this, wait, on_signal = std::move(on_signal),
                         on_tick = std::move(on_tick)] {
    while (true) {
      const int number = sigtimedwait(&set_, nullptr, &wait);
      if (Ends(number)) return;
      if (number == kStopSignal) continue;
      if (number > 0) {
        on_signal(number);
      } else if (errno == EAGAIN) {
        on_tick();
      }
    }
  });
}

}  // namespace tlspost
