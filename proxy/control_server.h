// ControlServer: what the owner of the process can ask of it, over a Unix
// socket that nobody else can open.
//
// A command is one line: a word, and behind a blank what the command makes of
// it. Each channel has a thread of its own, so that one that waits keeps nobody
// else waiting; there are few of them. No worker's loop takes part.

#ifndef TLSPOST_PROXY_CONTROL_SERVER_H_
#define TLSPOST_PROXY_CONTROL_SERVER_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "common/io/unix_channel.h"

namespace tlspost {

class ControlServer {
 public:
  // One more is closed at once.
  static constexpr size_t kMaxChannels = 8;
  // From the connect to the command.
  static constexpr std::chrono::seconds kCommandTime{5};

  // Answers on `channel`, which ends behind it. On a thread of the channel's; a
  // wait on the channel ends with Stop, other waits must have an end.
  using Command =
      std::function<void(io::UnixChannel& channel, std::string_view argument)>;

  ControlServer() = default;
  ~ControlServer() { Stop(); }
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  // Before Start.
  void AddCommand(std::string name, Command command);

  // Listens at `path`; see UnixListener::Open. Error: one plain line.
  absl::Status Start(const std::string& path, bool take_over);
  // See UnixListener::Commit.
  void Commit() { listener_->Commit(); }
  // Ends all channels and removes the path.
  void Stop();

 private:
  struct Channel {
    explicit Channel(io::UnixChannel its_channel)
        : channel(std::move(its_channel)) {}
    io::UnixChannel channel;
    std::thread thread;
    std::atomic<bool> ended = false;
  };

  void AcceptAll();
  void Serve(Channel& channel);
  void Answer(io::UnixChannel& channel);
  void Reap();

  std::map<std::string, Command, std::less<>> commands_;
  std::optional<io::UnixListener> listener_;
  std::thread thread_;
  std::mutex mutex_;
  // Guarded by the mutex.
  std::list<Channel> channels_;
  bool stopping_ = false;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_CONTROL_SERVER_H_
