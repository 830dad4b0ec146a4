// BackendNotes: what all workers find out about the backends and one of them
// says, so that the log has it once.

#ifndef TLSPOST_PROXY_BACKEND_NOTES_H_
#define TLSPOST_PROXY_BACKEND_NOTES_H_

#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <string>

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

// Whether one backend can be reached, as the log tells it: when it goes down,
// once in a while as long as it is, and when it is back. Any thread.
class OutageNote {
 public:
  // Between two lines on one outage.
  static constexpr io::Duration kInterval = std::chrono::minutes(1);
  // One that begins so soon after the last has ended is told of when it has
  // lasted, so that a backend that comes and goes does not fill the log.
  static constexpr io::Duration kCalm = std::chrono::seconds(10);

  struct Outage {
    bool is_news = false;    // nothing was said of this one yet
    int failures = 0;        // since it began
    io::Duration lasting{};  // likewise
  };

  // A connection could not be opened; what is to be said of it, if anything.
  std::optional<Outage> NoteFailure(io::Time now) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (failures_ == 0) began_ = now;
    ++failures_;
    if (now < next_line_) return std::nullopt;
    next_line_ = now + kInterval;
    const bool is_news = !told_;
    told_ = true;
    return Outage{is_news, failures_, now - began_};
  }

  // One was opened. How long none could be, if that was said: its end is due.
  std::optional<io::Duration> NoteOpened(io::Time now) {
    const std::lock_guard<std::mutex> lock(mutex_);
    failures_ = 0;
    if (!told_) return std::nullopt;
    told_ = false;
    next_line_ = now + kCalm;
    return now - began_;
  }

 private:
  std::mutex mutex_;
  int failures_ = 0;   // of this outage
  bool told_ = false;  // the log knows of it
  io::Time began_{};
  io::Time next_line_ = io::Time::min();
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
  // What this process's own greeting has in it, and no other's: a backend that
  // greets so is ourselves. Empty: that is not looked for. Set before any
  // worker starts.
  std::string own_mark;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_BACKEND_NOTES_H_
