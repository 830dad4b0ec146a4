// Start, run, stop.

#include "proxy/admin_thread.h"

#include <utility>

namespace tlspost {

absl::StatusOr<std::vector<io::Endpoint>> AdminThread::Start(
    std::unique_ptr<io::Loop> loop, std::vector<io::Endpoint> endpoints,
    AdminServer::Answer answer) {
  std::promise<Bound> bound;
  std::future<Bound> result = bound.get_future();
  thread_ = std::thread(
      [this, loop = std::move(loop), endpoints = std::move(endpoints),
       answer = std::move(answer), bound = std::move(bound)]() mutable {
        Run(std::move(loop), endpoints, answer, bound);
      });
  Bound addresses = result.get();
  if (!addresses.ok()) thread_.join();
  return addresses;
}

void AdminThread::Run(std::unique_ptr<io::Loop> loop,
                      const std::vector<io::Endpoint>& endpoints,
                      const AdminServer::Answer& answer,
                      std::promise<Bound>& bound) {
  AdminServer server(*loop, answer);
  const absl::Status listening = server.Listen(endpoints);
  if (!listening.ok()) return bound.set_value(listening);
  loop_ = loop.get();
  server_ = &server;
  server.Start();
  // From here on the other thread may stop us.
  bound.set_value(server.listening());
  loop->Run();
}

void AdminThread::Stop() {
  if (!thread_.joinable()) return;
  loop_->PostRemote([this] { server_->Stop(); });
  thread_.join();
}

}  // namespace tlspost
