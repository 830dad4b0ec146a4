// AdminThread: the AdminServer on a loop and a thread of its own, beside those
// that serve mail.

#ifndef TLSPOST_PROXY_ADMIN_THREAD_H_
#define TLSPOST_PROXY_ADMIN_THREAD_H_

#include <future>
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

  // Binds `endpoints`, or takes over their `sockets`, and serves. `answer` is
  // called on the thread. Gives the addresses bound; an error is one plain
  // line.
  absl::StatusOr<std::vector<io::Endpoint>> Start(
      std::vector<io::Endpoint> endpoints, AdminServer::Answer answer,
      std::vector<io::Descriptor> sockets = {});
  void Stop();

 private:
  using Bound = absl::StatusOr<std::vector<io::Endpoint>>;

  void Run(const std::vector<io::Endpoint>& endpoints,
           const AdminServer::Answer& answer,
           std::vector<io::Descriptor> sockets, std::promise<Bound>& bound);

  // Both live in Run; set when Start has returned OK, until Stop.
  io::Loop* loop_ = nullptr;
  AdminServer* server_ = nullptr;
  std::thread thread_;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_ADMIN_THREAD_H_
