// sigwait in a thread.

#include "proxy/signals.h"

#include <pthread.h>

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

}  // namespace tlspost
