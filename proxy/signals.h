// SignalWatcher: the process's signals, handed to a function on a thread of
// its own.
//
// Made before any other thread: those inherit the blocked mask, so that no
// signal interrupts a worker.

#ifndef TLSPOST_PROXY_SIGNALS_H_
#define TLSPOST_PROXY_SIGNALS_H_

#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <thread>

namespace tlspost {

class SignalWatcher {
 public:
  // Blocks SIGTERM, SIGINT, SIGHUP and SIGUSR1, and ignores SIGPIPE.
  SignalWatcher();
  ~SignalWatcher() { Stop(); }

  // No `on_signal` is under way behind this, and none comes any more.
  void Stop();

  // Calls `on_signal(number)` for each signal from now on.
  void Start(std::function<void(int)> on_signal);
  // The same, and `on_tick()` when there was none for `interval`.
  void Start(std::function<void(int)> on_signal,
             std::chrono::milliseconds interval, std::function<void()> on_tick);

 private:
  // Whether the signal that ends the thread is ours, and not a stray one.
  bool Ends(int number) const;

  sigset_t set_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_SIGNALS_H_
