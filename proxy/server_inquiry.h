// Asks the workers of a Server a question each, and collects what they answer
// in time. Private to Server, for the administrator's thread.
//
// What a worker knows is its own thread's: it is asked by a message, so that
// nothing on the way of a mail is shared or locked for it.

#ifndef TLSPOST_PROXY_SERVER_INQUIRY_H_
#define TLSPOST_PROXY_SERVER_INQUIRY_H_

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "proxy/server.h"
#include "proxy/server_thread.h"

namespace tlspost {

// A worker's turn lasts milliseconds; one that takes longer is stuck.
inline constexpr std::chrono::seconds kInquiryTimeout(1);

// Answers as they come in. Shared with the workers, which may answer when
// nobody waits any more.
template <typename T>
class Answers {
 public:
  explicit Answers(size_t workers) : answers_(workers), missing_(workers) {}

  // Empty: there is nobody to ask.
  void Put(size_t number, std::optional<T> answer) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      answers_[number] = std::move(answer);
      --missing_;
    }
    all_here_.notify_one();
  }

  std::vector<std::optional<T>> Wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    all_here_.wait_for(lock, kInquiryTimeout, [this] { return missing_ == 0; });
    return answers_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable all_here_;
  std::vector<std::optional<T>> answers_;
  size_t missing_;
};

// One for each worker: what it has answered; empty where it has ended, or does
// not answer in time.
template <typename T>
std::vector<std::optional<T>> Server::Ask(T (*question)(Worker& worker)) {
  const auto answers = std::make_shared<Answers<T>>(threads_.size());
  for (size_t i = 0; i < threads_.size(); ++i) {
    Thread& thread = *threads_[i];
    const std::lock_guard<std::mutex> lock(thread.mutex);
    if (thread.loop == nullptr) {
      answers->Put(i, std::nullopt);
      continue;
    }
    thread.loop->PostRemote([answers, i, &thread, question] {
      answers->Put(i, question(*thread.worker));
    });
  }
  return answers->Wait();
}

}  // namespace tlspost

#endif  // TLSPOST_PROXY_SERVER_INQUIRY_H_
