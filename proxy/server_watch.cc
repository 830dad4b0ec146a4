// What a service manager can ask a running Server; it needs no admin_listen.

#include <cstddef>
#include <mutex>
#include <string>

#include "absl/strings/str_format.h"
#include "proxy/server.h"
#include "proxy/server_inquiry.h"
#include "proxy/server_thread.h"

namespace tlspost {

bool Server::WorkersAnswer() {
  const auto answers = Ask<bool>([](Worker&) { return true; });
  for (size_t i = 0; i < answers.size(); ++i) {
    const std::lock_guard<std::mutex> lock(threads_[i]->mutex);
    const bool has_ended = threads_[i]->loop == nullptr;
    if (!answers[i].has_value() && !has_ended) return false;
  }
  return true;
}

std::string Server::StatusLine() const {
  return absl::StrFormat("%s: %d clients, %d backend connections",
                         draining_ ? "draining" : "serving",
                         shared_->connections.count(), shared_->slots.used());
}

int64_t Server::reloads_ended() const {
  return reloader_ == nullptr ? 0
                              : reloader_->reloads() + reloader_->failures();
}

}  // namespace tlspost
