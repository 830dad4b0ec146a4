// What the owner of the process can ask a running Server, and how one tlspost
// takes over from another.
//
// The way of a takeover: the new one asks for the listening sockets
// ("listeners"), hears how many there are and over which engine they are
// served, and gets descriptors of the very same ones, so that no client is in a
// queue that nobody serves; it starts its workers on them; then it says
// "took over", the old one answers "draining" and drains. If it never says so,
// nothing has changed. One takeover at a time: who comes second hears why not.

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "common/io/listen_socket.h"
#include "proxy/control_client.h"
#include "proxy/reload_command.h"
#include "proxy/server.h"
#include "proxy/startup.h"
#include "proxy/trace_command.h"

namespace tlspost {
namespace {

constexpr std::string_view kReload = "reload";
constexpr std::string_view kTrace = "trace";
constexpr std::string_view kListeners = "listeners";
constexpr std::string_view kSend = "send";
constexpr std::string_view kTookOver = "took over";
constexpr std::string_view kDraining = "draining";

// Lines of a trace are written together after so long.
constexpr std::chrono::milliseconds kTracePause(100);
// Between two words of the other process that it has no reason to put off.
constexpr std::chrono::seconds kWordTime(10);
// For the new process to come up once it has the sockets.
constexpr std::chrono::minutes kStartTime(5);

}  // namespace

// --- for who serves already -----------------------------------------------

absl::Status Server::StartControl() {
  if (settings_.control_socket.empty()) return absl::OkStatus();
  control_.AddCommand(std::string(kReload),
                      [this](io::UnixChannel& channel, std::string_view) {
                        const absl::Status told =
                            channel.Write(FormatReloadResult(ReloadAndWait()));
                        static_cast<void>(told);  // it may have left
                      });
  control_.AddCommand(std::string(kListeners),
                      [this](io::UnixChannel& channel, std::string_view) {
                        HandOver(channel);
                      });
  control_.AddCommand(std::string(kTrace), [this](io::UnixChannel& channel,
                                                  std::string_view networks) {
    ServeTrace(shared_->trace, networks,
               {[&](std::string_view text) { return channel.Write(text); },
                [&] { return channel.StaysOpen(kTracePause); }});
  });
  const absl::Status started =
      control_.Start(settings_.control_socket, predecessor_.has_value());
  return started.ok() ? started : InSetting("control_socket", started);
}

void Server::HandOver(io::UnixChannel& channel) {
  if (draining_ || handing_over_.exchange(true)) {
    const absl::Status told =
        channel.Write(draining_ ? "failed it drains\n"
                                : "failed another takes over just now\n");
    static_cast<void>(told);  // it may have left
    return;
  }
  HandOverAlone(channel);
  handing_over_ = false;
}

void Server::HandOverAlone(io::UnixChannel& channel) {
  std::vector<io::Descriptor> sockets = sockets_.Copies();
  for (const io::Descriptor& socket : admin_sockets_) {
    sockets.emplace_back(io::DuplicateSocket(socket.get()));
  }
  const absl::Status offered = channel.Write(
      absl::StrFormat("%s %d\n", io::NameOf(loops_.engine), sockets.size()));
  if (!offered.ok()) return;
  const auto go = channel.ReadLine(kWordTime);
  if (!go.ok() || *go != kSend) return;
  if (!channel.SendDescriptors(sockets).ok()) return;
  sockets.clear();
  log_.Info("takeover: another tlspost has got the listening sockets");
  const auto end = channel.ReadLine(kStartTime);
  const bool takes_over = draining_ || (end.ok() && *end == kTookOver);
  const absl::Status told = channel.Write(
      takes_over ? absl::StrFormat("%s\n", kDraining)
                 : std::string("failed it took too long to come up\n"));
  static_cast<void>(told);  // it may have left
  if (!takes_over) {
    log_.Warning("takeover: the other tlspost did not come up; going on");
    return;
  }
  if (draining_) return;  // SIGTERM has come meanwhile
  StopAdmin();
  log_.Info("takeover: another tlspost serves now; draining");
  Drain(Parting::kWhenDone);
}

// --- for who comes --------------------------------------------------------

absl::Status Server::AdoptSockets() {
  const absl::Status adopted =
      sockets_.Adopt(io::InheritedSockets(), /*shared=*/true);
  if (!adopted.ok()) return InSetting("LISTEN_FDS", adopted);
  if (!settings_.takeover) return absl::OkStatus();
  const absl::Status asked = AskPredecessor();
  return asked.ok() ? asked : InSetting("takeover", asked);
}

absl::Status Server::AskPredecessor() {
  auto channel = io::UnixChannel::Connect(settings_.control_socket);
  if (absl::IsNotFound(channel.status())) {
    log_.Info(absl::StrFormat("takeover: %s; this is an ordinary start",
                              MessageOf(channel.status())));
    return absl::OkStatus();
  }
  if (!channel.ok()) return channel.status();
  const absl::Status asked =
      channel->Write(absl::StrFormat("%s\n", kListeners));
  if (!asked.ok()) return asked;
  const auto answer = channel->ReadLine(kWordTime);
  if (!answer.ok()) return answer.status();
  const ControlAnswer offer = SplitAnswer(*answer);
  int count = 0;
  if (!absl::SimpleAtoi(offer.words, &count) || count < 1) {
    return absl::UnavailableError(absl::StrFormat(
        "the tlspost that runs hands nothing over: %s", offer.words));
  }
  // The two accept on the same sockets for a moment, and whether those block is
  // the sockets' own: epoll needs the one, io_uring the other.
  if (offer.word != io::NameOf(loops_.engine)) {
    return absl::FailedPreconditionError(
        absl::StrFormat("the tlspost that runs uses %s, and this one would use "
                        "%s; start it with "
                        "io_engine = %s, or stop the other one first",
                        offer.word, io::NameOf(loops_.engine), offer.word));
  }
  const absl::Status ready = channel->Write(absl::StrFormat("%s\n", kSend));
  if (!ready.ok()) return ready;
  auto sockets =
      channel->ReceiveDescriptors(static_cast<size_t>(count), kWordTime);
  if (!sockets.ok()) return sockets.status();
  predecessor_.emplace(*std::move(channel));
  return sockets_.Adopt(*std::move(sockets), /*shared=*/false);
}

// systemd waits on a socket that nobody would serve.
absl::Status Server::CheckAllClaimed() {
  const std::vector<io::Endpoint> unclaimed = sockets_.Unclaimed();
  const bool from_systemd = !predecessor_.has_value() && !unclaimed.empty();
  if (from_systemd) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "LISTEN_FDS: there is a socket at %s, which is no address of listen, "
        "listen_tls, a [[listener]] or admin_listen; name it there, or take it "
        "out of the .socket unit",
        unclaimed.front().ToString()));
  }
  // Of the predecessor: its addresses that are ours no more.
  sockets_.DropUnclaimed();
  return absl::OkStatus();
}

absl::Status Server::TakeOver() {
  if (!predecessor_.has_value()) return absl::OkStatus();
  const absl::Status told =
      predecessor_->Write(absl::StrFormat("%s\n", kTookOver));
  const auto answer = told.ok() ? predecessor_->ReadLine(kWordTime) : told;
  predecessor_.reset();
  if (answer.ok() && *answer != kDraining) {
    return absl::FailedPreconditionError(
        absl::StrFormat("takeover: the tlspost that runs goes on: %s",
                        SplitAnswer(*answer).words));
  }
  control_.Commit();
  log_.Info(answer.ok() ? "takeover: the tlspost before this one drains"
                        : "takeover: the tlspost before this one is gone");
  return absl::OkStatus();
}

}  // namespace tlspost
