// AdminServer: the way to AdminHttp over sockets, within bounds.
//
// One request per connection: its head is read, answered, and the connection
// closed. Runs on any Loop, one that serves no mail. It never waits for a peer
// beyond a connection's time, and never reads more than a head.

#ifndef TLSPOST_PROXY_ADMIN_SERVER_H_
#define TLSPOST_PROXY_ADMIN_SERVER_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/base/task.h"
#include "common/io/descriptor.h"
#include "common/io/endpoint.h"
#include "common/io/listener.h"
#include "common/io/loop.h"
#include "common/io/task_group.h"
#include "common/io/wait_queue.h"

namespace tlspost {

class AdminServer {
 public:
  // One more is closed at once.
  static constexpr size_t kMaxConnections = 16;
  // Request line and header fields; more is answered 431.
  static constexpr size_t kMaxHeadOctets = 8192;
  // From the accept to the end, whatever the peer does.
  static constexpr io::Duration kConnectionTime = std::chrono::seconds(5);

  // From a request's head to the whole reply. On the loop's thread.
  using Answer = std::function<std::string(std::string_view head)>;

  AdminServer(io::Loop& loop, Answer answer);

  // Takes over the sockets of the endpoints, or binds those that have none;
  // nothing is accepted yet. Error: one plain line.
  absl::Status Listen(const std::vector<io::Endpoint>& endpoints,
                      std::vector<io::Descriptor> sockets = {});
  // The addresses bound, with the ports that the kernel chose.
  std::vector<io::Endpoint> listening() const;

  // Before Start: calls `tick` every `interval`, on the loop's thread.
  using Tick = std::function<void()>;
  void CallEvery(io::Duration interval, Tick tick);

  void Start();

  // Closes everything, then stops the loop. On the loop's thread, once.
  void Stop();

 private:
  Task<void> AcceptFrom(io::Listener& listener);
  Task<void> Serve(std::unique_ptr<io::Stream> stream);
  Task<std::string> ReadRequest(io::Stream& stream, io::Time deadline);
  Task<void> TickOn();
  Task<void> CloseAndStop();

  io::Loop& loop_;
  const Answer answer_;
  std::vector<std::unique_ptr<io::Listener>> listeners_;
  std::vector<io::Stream*> open_;
  bool stopping_ = false;
  io::Duration interval_{};
  Tick tick_;
  io::WaitQueue until_tick_;
  io::TaskGroup serving_;
  io::TaskGroup accepting_;
  io::TaskGroup ticking_;
  io::TaskGroup stop_task_;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_ADMIN_SERVER_H_
