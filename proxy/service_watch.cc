#include "proxy/service_watch.h"

namespace tlspost {

void ServiceWatch::NoteReload() {
  reloads_before_ = server_.reloads_ended();
  reloading_ = true;
  manager_.Reloading();
}

void ServiceWatch::NoteTermination() {
  reloading_ = false;
  manager_.Stopping(server_.StatusLine());
}

void ServiceWatch::Tick() {
  if (reloading_ && server_.reloads_ended() != reloads_before_) {
    reloading_ = false;
    manager_.Ready(server_.StatusLine());
  }
  since_status_ += kTick;
  if (since_status_ >= kStatusInterval) {
    since_status_ = std::chrono::milliseconds(0);
    manager_.Status(server_.StatusLine());
  }
  since_alive_ += kTick;
  const std::chrono::milliseconds alive_interval = manager_.alive_interval();
  const bool is_due = alive_interval > std::chrono::milliseconds(0) &&
                      since_alive_ >= alive_interval;
  if (!is_due || !server_.WorkersAnswer()) return;
  since_alive_ = std::chrono::milliseconds(0);
  manager_.Alive();
}

}  // namespace tlspost
