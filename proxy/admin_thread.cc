// Start, run, stop.

#include "proxy/admin_thread.h"

#include <chrono>
#include <utility>

namespace tlspost {

absl::StatusOr<std::vector<io::Endpoint>> AdminThread::Start(
    std::unique_ptr<io::Loop> loop, std::vector<io::Endpoint> endpoints,
    AdminServer::Answer answer, io::Duration interval, AdminServer::Tick tick,
    std::vector<io::Descriptor> sockets) {
  std::promise<Bound> bound;
  std::future<Bound> result = bound.get_future();
  thread_ = std::thread(
      [this, loop = std::move(loop), endpoints = std::move(endpoints),
       answer = std::move(answer), interval, tick = std::move(tick),
       sockets = std::move(sockets), bound = std::move(bound)]() mutable {
        Run(std::move(loop), endpoints, answer, interval, tick,
            std::move(sockets), bound);
      });
  Bound addresses = result.get();
  if (!addresses.ok()) thread_.join();
  return addresses;
}

void AdminThread::Run(std::unique_ptr<io::Loop> loop,
                      const std::vector<io::Endpoint>& endpoints,
                      const AdminServer::Answer& answer, io::Duration interval,
                      const AdminServer::Tick& tick,
                      std::vector<io::Descriptor> sockets,
                      std::promise<Bound>& bound) {
  AdminServer server(*loop, answer);
  const absl::Status listening = server.Listen(endpoints, std::move(sockets));
  if (!listening.ok()) return bound.set_value(listening);
  loop_ = loop.get();
  server_ = &server;
  server.CallEvery(interval, tick);
  server.Start();
  // From here on the other thread may stop us.
  bound.set_value(server.listening());
  loop->Run();
}

int64_t AdminThread::WallSeconds() const {
  return std::chrono::duration_cast<std::chrono::seconds>(
             loop_->WallNow().time_since_epoch())
      .count();
}

void AdminThread::Stop() {
  if (!thread_.joinable()) return;
  loop_->PostRemote([this] { server_->Stop(); });
  thread_.join();
}

}  // namespace tlspost
