// ConnectionLimit: max_connections for the whole process.
//
// One atomic counter that all workers share; touched once when a client comes
// and once when it goes. A reload may change the limit; whoever is in stays.

#ifndef TLSPOST_PROXY_CONNECTION_LIMIT_H_
#define TLSPOST_PROXY_CONNECTION_LIMIT_H_

#include <atomic>

namespace tlspost {

class ConnectionLimit {
 public:
  explicit ConnectionLimit(int max) : max_(max) {}

  // For clients that come from now on. Any thread.
  void SetMax(int max) { max_.store(max, std::memory_order_relaxed); }

  // One more client, if there is room; every success is followed by a Leave.
  bool Enter() {
    const int max = max_.load(std::memory_order_relaxed);
    if (count_.fetch_add(1, std::memory_order_relaxed) < max) return true;
    count_.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  void Leave() { count_.fetch_sub(1, std::memory_order_relaxed); }

  int max() const { return max_.load(std::memory_order_relaxed); }
  int count() const { return count_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int> max_;
  std::atomic<int> count_ = 0;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_CONNECTION_LIMIT_H_
