// Accepting, reading one head, answering it.

#include "proxy/admin_server.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/io/stream.h"

namespace tlspost {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

// Out of descriptors: the next accept would fail as well.
constexpr io::Duration kAdminAcceptPause = 100ms;
// What is closed by force gets this long to unwind.
constexpr io::Duration kAdminUnwindTimeout = 5s;

constexpr int kBacklog = 16;

constexpr std::string_view kEndOfHead = "\r\n\r\n";
constexpr std::string_view kHeadTooLarge =
    "HTTP/1.1 431 Request Header Fields Too Large\r\n"
    "Connection: close\r\n"
    "Content-Length: 0\r\n\r\n";

}  // namespace

AdminServer::AdminServer(io::Loop& loop, Answer answer)
    : loop_(loop),
      answer_(std::move(answer)),
      until_tick_(loop),
      serving_(loop),
      accepting_(loop),
      ticking_(loop),
      stop_task_(loop) {}

absl::Status AdminServer::Listen(const std::vector<io::Endpoint>& endpoints,
                                 std::vector<io::Descriptor> sockets) {
  io::ListenOptions options;
  options.backlog = kBacklog;
  options.reuse_port = false;
  sockets.resize(endpoints.size());
  for (size_t i = 0; i < endpoints.size(); ++i) {
    options.socket = sockets[i].Release();
    auto listener = loop_.Listen(endpoints[i], options);
    if (!listener.ok()) return listener.status();
    listeners_.push_back(*std::move(listener));
  }
  return absl::OkStatus();
}

std::vector<io::Endpoint> AdminServer::listening() const {
  std::vector<io::Endpoint> endpoints;
  for (const auto& listener : listeners_) {
    endpoints.push_back(listener->local());
  }
  return endpoints;
}

void AdminServer::CallEvery(io::Duration interval, Tick tick) {
  interval_ = interval;
  tick_ = std::move(tick);
}

void AdminServer::Start() {
  if (tick_ != nullptr) ticking_.Spawn(TickOn());
  for (const auto& listener : listeners_) {
    accepting_.Spawn(AcceptFrom(*listener));
  }
}

Task<void> AdminServer::AcceptFrom(io::Listener& listener) {
  while (true) {
    auto accepted = co_await listener.Accept();
    if (absl::IsCancelled(accepted.status())) co_return;
    if (!accepted.ok()) {
      co_await io::SleepOp(loop_, loop_.Now() + kAdminAcceptPause);
      continue;
    }
    std::unique_ptr<io::Stream> stream = *std::move(accepted);
    if (stopping_ || open_.size() >= kMaxConnections) continue;  // closes it
    serving_.Spawn(Serve(std::move(stream)));
  }
}

Task<void> AdminServer::Serve(std::unique_ptr<io::Stream> stream) {
  open_.push_back(stream.get());
  const io::Time deadline = loop_.Now() + kConnectionTime;
  const std::string reply = co_await ReadRequest(*stream, deadline);
  if (!reply.empty()) {
    const absl::Status sent = co_await stream->Write(reply, deadline);
    if (sent.ok()) stream->ShutdownWrite();
    // Closing over input that was not read would take the reply back.
    bool more = sent.ok();
    while (more) {
      const auto chunk = co_await stream->Read(deadline);
      more = chunk.ok() && !chunk->empty();
    }
  }
  std::erase(open_, stream.get());
}

// The reply; empty when the peer gave no whole request in time.
Task<std::string> AdminServer::ReadRequest(io::Stream& stream,
                                           io::Time deadline) {
  std::string head;
  while (true) {
    const auto chunk = co_await stream.Read(deadline);
    if (!chunk.ok() || chunk->empty()) co_return std::string();
    // The end may have begun in what came before.
    const size_t seen = head.size() - std::min(head.size(), kEndOfHead.size());
    head.append(chunk->view().substr(0, kMaxHeadOctets + 1 - head.size()));
    const size_t end = head.find(kEndOfHead, seen);
    if (end != std::string::npos) {
      head.resize(end + kEndOfHead.size());
      co_return answer_(head);
    }
    if (head.size() > kMaxHeadOctets) co_return std::string(kHeadTooLarge);
  }
}

Task<void> AdminServer::TickOn() {
  while (!stopping_) {
    const io::Time next = loop_.Now() + interval_;
    const absl::Status woken = co_await until_tick_.Wait(next);
    if (absl::IsDeadlineExceeded(woken)) tick_();
  }
}

void AdminServer::Stop() {
  if (stopping_) return;
  stopping_ = true;
  stop_task_.Spawn(CloseAndStop());
}

Task<void> AdminServer::CloseAndStop() {
  // Another process may have the same sockets.
  for (const auto& listener : listeners_) {
    listener->Close(io::Listener::Queue::kLeave);
  }
  for (io::Stream* stream : open_) stream->Close();
  until_tick_.WakeAll(absl::OkStatus());
  const io::Time deadline = loop_.Now() + kAdminUnwindTimeout;
  const bool accepting_ended = co_await accepting_.Drained(deadline);
  const bool served = co_await serving_.Drained(deadline);
  const bool ticked = co_await ticking_.Drained(deadline);
  TLSPOST_CHECK(accepting_ended && served && ticked);
  loop_.Stop();
}

}  // namespace tlspost
