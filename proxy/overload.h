// Overload: whether so many clients are connected that the proxy must be
// stricter with each (Postfix's stress mode).
//
// All workers share one object. It is told the number of connections when it
// changes; between the two bounds it stays as it is, so that it does not
// flutter. Decides nothing about anybody: what is stricter then is in
// client_conduct.h.

#ifndef TLSPOST_PROXY_OVERLOAD_H_
#define TLSPOST_PROXY_OVERLOAD_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>

namespace tlspost {

class Overload {
 public:
  enum class Change : uint8_t { kNone, kBegins, kEnds };

  // It begins with `percent` of `max_connections` and ends below three
  // quarters of that. With 0 percent it never begins.
  Overload(int max_connections, int percent) {
    SetBounds(max_connections, percent);
  }

  // The next Note goes by these. Any thread, one at a time.
  void SetBounds(int max_connections, int percent) {
    const int begin = percent == 0 ? std::numeric_limits<int>::max()
                                   : Share(max_connections, percent);
    begins_at_.store(begin, std::memory_order_relaxed);
    ends_below_.store(std::max(1, Share(begin, kEndPercent)),
                      std::memory_order_relaxed);
  }

  // Any thread; of all the callers one hears of each change.
  Change Note(int connections) {
    bool on = overloaded();
    const bool want =
        on ? connections >= ends_below_ : connections >= begins_at_;
    if (on == want) return Change::kNone;
    if (!on_.compare_exchange_strong(on, want)) return Change::kNone;
    return want ? Change::kBegins : Change::kEnds;
  }
  bool overloaded() const { return on_.load(std::memory_order_relaxed); }

 private:
  static constexpr int kEndPercent = 75;

  // Rounded up, so that it is never nobody.
  static int Share(int of, int percent) {
    return static_cast<int>((int64_t{of} * percent + 99) / 100);
  }

  std::atomic<int> begins_at_ = 0;
  std::atomic<int> ends_below_ = 0;
  std::atomic<bool> on_ = false;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_OVERLOAD_H_
