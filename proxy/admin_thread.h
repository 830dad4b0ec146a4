// AdminThread: the AdminServer on a loop and a thread of its own, beside those
// that serve mail.

#ifndef TLSPOST_PROXY_ADMIN_THREAD_H_
#define TLSPOST_PROXY_ADMIN_THREAD_H_

#include <cstdint>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/io/descriptor.h"
#include "common/io/endpoint.h"
#include "common/io/loop.h"
#include "proxy/admin_server.h"

namespace tlspost {

class AdminThread {
 public:
  AdminThread() = default;
  // Ends the thread; what is under way is cut off.
  ~AdminThread() { Stop(); }
  AdminThread(const AdminThread&) = delete;
  AdminThread& operator=(const AdminThread&) = delete;

  // Binds `endpoints`, or takes over their `sockets`, and serves over `loop`.
  // `answer` is called on the thread, and `tick` every `interval`. Gives the
  // addresses bound; an error is one plain line.
  absl::StatusOr<std::vector<io::Endpoint>> Start(
      std::unique_ptr<io::Loop> loop, std::vector<io::Endpoint> endpoints,
      AdminServer::Answer answer, io::Duration interval, AdminServer::Tick tick,
      std::vector<io::Descriptor> sockets = {});
  void Stop();

  // Since 1970. On the thread.
  int64_t WallSeconds() const;

 private:
  using Bound = absl::StatusOr<std::vector<io::Endpoint>>;

  void Run(std::unique_ptr<io::Loop> loop,
           const std::vector<io::Endpoint>& endpoints,
           const AdminServer::Answer& answer, io::Duration interval,
           const AdminServer::Tick& tick, std::vector<io::Descriptor> sockets,
           std::promise<Bound>& bound);

  // Both live in Run; set when Start has returned OK, until Stop.
  io::Loop* loop_ = nullptr;
  AdminServer* server_ = nullptr;
  std::thread thread_;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_ADMIN_THREAD_H_
