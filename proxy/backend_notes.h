// BackendNotes: what all workers find out about the backend and one of them
// says, so that the log has it once.

#ifndef TLSPOST_PROXY_BACKEND_NOTES_H_
#define TLSPOST_PROXY_BACKEND_NOTES_H_

#include <atomic>
#include <chrono>

#include "common/io/time.h"

namespace tlspost {

// Lets one caller through in each interval. Any thread.
class Reminder {
 public:
  explicit Reminder(io::Duration interval) : interval_(interval) {}

  bool Due(io::Time now) {
    io::Time next = next_.load(std::memory_order_relaxed);
    return now >= next && next_.compare_exchange_strong(
                              next, now + interval_, std::memory_order_relaxed);
  }

 private:
  const io::Duration interval_;
  std::atomic<io::Time> next_ = io::Time::min();
};

struct BackendNotes {
  // It takes one identity per connection.
  Reminder single_use{std::chrono::hours(1)};
  // It offers no XCLIENT, and gets mail in our own name.
  Reminder no_identity{std::chrono::hours(1)};
  // Its EHLO list has changed.
  Reminder other_capabilities{std::chrono::minutes(1)};
  // It offers STARTTLS, and we do not use it.
  Reminder starttls_offer{std::chrono::hours(1)};
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_BACKEND_NOTES_H_
