// ServiceWatch: what the service manager (systemd) hears of a Server: that a
// reload has begun and ended, that it drains, how many clients it has, and, as
// long as all workers take their turns, that it is alive.
//
// Runs on the thread of the signals. Decides nothing: whether a silent service
// is killed and started again is the manager's affair.

#ifndef TLSPOST_PROXY_SERVICE_WATCH_H_
#define TLSPOST_PROXY_SERVICE_WATCH_H_

#include <chrono>
#include <cstdint>

#include "common/io/service_manager.h"
#include "proxy/server.h"

namespace tlspost {

class ServiceWatch {
 public:
  // Tick is called so often.
  static constexpr std::chrono::milliseconds kTick{250};
  // The line with the number of clients is renewed so often.
  static constexpr std::chrono::seconds kStatusInterval{5};

  // Both outlive this; `server` has been started.
  ServiceWatch(const io::ServiceManager& manager, Server& server)
      : manager_(manager), server_(server) {}

  void NoteReload();
  void NoteTermination();
  void Tick();

 private:
  const io::ServiceManager& manager_;
  Server& server_;
  bool reloading_ = false;
  int64_t reloads_before_ = 0;
  std::chrono::milliseconds since_status_{0};
  // Said as soon as possible; a worker that was busy is asked at the next tick.
  std::chrono::milliseconds since_alive_ = std::chrono::hours(1);
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_SERVICE_WATCH_H_
