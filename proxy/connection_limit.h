// ConnectionLimit: max_connections for the whole process.
//
// One atomic counter that all workers share; touched once when a client comes
// and once when it goes.

#ifndef TLSPOST_PROXY_CONNECTION_LIMIT_H_
#define TLSPOST_PROXY_CONNECTION_LIMIT_H_

#include <atomic>

namespace tlspost {

class ConnectionLimit {
 public:
  explicit ConnectionLimit(int max) : max_(max) {}

  // One more client, if there is room; every success is followed by a Leave.
  bool Enter() {
    if (count_.fetch_add(1, std::memory_order_relaxed) < max_) return true;
    count_.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  void Leave() { count_.fetch_sub(1, std::memory_order_relaxed); }

  int count() const { return count_.load(std::memory_order_relaxed); }

 private:
  const int max_;
  std::atomic<int> count_ = 0;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_CONNECTION_LIMIT_H_
