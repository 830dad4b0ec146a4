// Accepting channels, reading one command from each.

#include "proxy/control_server.h"

#include <system_error>
#include <utility>

#include "absl/strings/str_format.h"

namespace tlspost {
namespace {

// Out of descriptors: the next accept would fail as well.
constexpr std::chrono::milliseconds kControlAcceptPause(100);

}  // namespace

void ControlServer::AddCommand(std::string name, Command command) {
  commands_[std::move(name)] = std::move(command);
}

absl::Status ControlServer::Start(const std::string& path, bool take_over) {
  auto listener = io::UnixListener::Open(path, take_over);
  if (!listener.ok()) return listener.status();
  listener_.emplace(*std::move(listener));
  thread_ = std::thread([this] { AcceptAll(); });
  return absl::OkStatus();
}

void ControlServer::Stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    for (Channel& channel : channels_) channel.channel.Shutdown();
  }
  listener_->Shutdown();
  thread_.join();
  for (Channel& channel : channels_) channel.thread.join();
  channels_.clear();
  listener_.reset();
}

void ControlServer::AcceptAll() {
  while (true) {
    auto accepted = listener_->Accept();
    if (absl::IsCancelled(accepted.status())) return;
    if (!accepted.ok()) {
      std::this_thread::sleep_for(kControlAcceptPause);
      continue;
    }
    Reap();
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_) return;
    if (channels_.size() >= kMaxChannels) continue;  // closes it
    Channel& channel = channels_.emplace_back(*std::move(accepted));
    try {
      channel.thread = std::thread([this, &channel] { Serve(channel); });
    } catch (const std::system_error&) {
      channels_.pop_back();  // no thread for it now; closes it
    }
  }
}

void ControlServer::Reap() {
  const std::lock_guard<std::mutex> lock(mutex_);
  channels_.remove_if([](Channel& channel) {
    if (!channel.ended) return false;
    channel.thread.join();
    return true;
  });
}

void ControlServer::Serve(Channel& channel) {
  Answer(channel.channel);
  // The other side sees the end; the rest goes with the next one that comes.
  channel.channel.Shutdown();
  channel.ended = true;
}

void ControlServer::Answer(io::UnixChannel& channel) {
  const auto line = channel.ReadLine(kCommandTime);
  if (!line.ok()) return;
  const std::string_view text = *line;
  const size_t blank = text.find(' ');
  const auto found = commands_.find(text.substr(0, blank));
  if (found == commands_.end()) {
    std::string known;
    for (const auto& [name, command] : commands_) known += " " + name;
    const absl::Status told = channel.Write(
        absl::StrFormat("failed unknown command; there is:%s\n", known));
    static_cast<void>(told);  // it may have left
    return;
  }
  found->second(channel, blank == std::string_view::npos
                             ? std::string_view()
                             : text.substr(blank + 1));
}

}  // namespace tlspost
