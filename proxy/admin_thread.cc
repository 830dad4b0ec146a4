// Start, run, stop.

#include "proxy/admin_thread.h"

#include <chrono>
#include <utility>

#include "common/io/uring.h"

namespace tlspost {
namespace {

// Small: the ring is for a few connections of one request each.
constexpr io::UringOptions kRing = {.submission_entries = 64,
                                    .receive_buffers = 32};

}  // namespace

absl::StatusOr<std::vector<io::Endpoint>> AdminThread::Start(
    std::vector<io::Endpoint> endpoints, AdminServer::Answer answer,
    io::Duration interval, AdminServer::Tick tick) {
  std::promise<Bound> bound;
  std::future<Bound> result = bound.get_future();
  thread_ = std::thread(
      [this, endpoints = std::move(endpoints), answer = std::move(answer),
       interval, tick = std::move(tick), bound = std::move(bound)]() mutable {
        Run(endpoints, answer, interval, tick, bound);
      });
  Bound addresses = result.get();
  if (!addresses.ok()) thread_.join();
  return addresses;
}

void AdminThread::Run(const std::vector<io::Endpoint>& endpoints,
                      const AdminServer::Answer& answer, io::Duration interval,
                      const AdminServer::Tick& tick,
                      std::promise<Bound>& bound) {
  auto loop = io::CreateUringLoop(kRing);
  if (!loop.ok()) return bound.set_value(loop.status());
  AdminServer server(**loop, answer);
  const absl::Status listening = server.Listen(endpoints);
  if (!listening.ok()) return bound.set_value(listening);
  loop_ = loop->get();
  server_ = &server;
  server.CallEvery(interval, tick);
  server.Start();
  // From here on the other thread may stop us.
  bound.set_value(server.listening());
  (*loop)->Run();
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
