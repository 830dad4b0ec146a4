// What a service manager can ask a running Server; it needs no admin_listen.

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>

#include "absl/strings/str_format.h"
#include "proxy/server.h"
#include "proxy/server_thread.h"

namespace tlspost {
namespace {

// A worker's turn lasts milliseconds; one that takes longer is stuck.
constexpr std::chrono::seconds kAnswerTimeout(1);

// Shared with the workers, which may answer when nobody waits any more.
struct RollCall {
  std::mutex mutex;
  std::condition_variable all_here;
  size_t missing = 0;  // guarded by mutex
};

}  // namespace

bool Server::WorkersAnswer() {
  const auto call = std::make_shared<RollCall>();
  for (const auto& thread : threads_) {
    const std::lock_guard<std::mutex> lock(thread->mutex);
    if (thread->loop == nullptr) continue;
    {
      const std::lock_guard<std::mutex> call_lock(call->mutex);
      ++call->missing;
    }
    thread->loop->PostRemote([call] {
      const std::lock_guard<std::mutex> call_lock(call->mutex);
      --call->missing;
      call->all_here.notify_one();
    });
  }
  std::unique_lock<std::mutex> lock(call->mutex);
  return call->all_here.wait_for(lock, kAnswerTimeout,
                                 [&call] { return call->missing == 0; });
}

std::string Server::StatusLine() const {
  return absl::StrFormat("%s: %d clients, %d backend connections",
                         terminations_ > 0 ? "draining" : "serving",
                         shared_->connections.count(), shared_->slots.used());
}

int64_t Server::reloads_ended() const {
  return reloader_ == nullptr ? 0
                              : reloader_->reloads() + reloader_->failures();
}

}  // namespace tlspost
