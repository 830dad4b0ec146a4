// One question over the control socket, from both sides.

#include "proxy/reload_command.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "common/io/unix_channel.h"
#include "proxy/config.h"

namespace tlspost {
namespace {

// Names of backends are looked up meanwhile, which may take this long.
constexpr std::chrono::minutes kReloadTime(2);

int Say(int exit_status, std::string_view words) {
  std::FILE* to = exit_status == kReloadInForce ? stdout : stderr;
  std::fprintf(to, "tlspost: reload: %.*s\n", static_cast<int>(words.size()),
               words.data());
  return exit_status;
}

absl::StatusOr<std::string> Ask(const std::string& path) {
  auto channel = io::UnixChannel::Connect(path);
  if (absl::IsNotFound(channel.status())) {
    return absl::NotFoundError(
        absl::StrFormat("%s; start tlspost with the same control_socket",
                        MessageOf(channel.status())));
  }
  if (!channel.ok()) return channel.status();
  const absl::Status asked = channel->Write("reload\n");
  if (!asked.ok()) return asked;
  return channel->ReadLine(kReloadTime);
}

}  // namespace

int RunReload(std::span<const char* const> args) {
  std::vector<absl::Status> errors;
  const std::string path = FindControlSocket(args, errors);
  if (path.empty()) {
    if (!errors.empty()) return Say(kReloadFailed, MessageOf(errors.front()));
    return Say(kReloadFailed,
               "there is no control_socket to ask; set one and restart "
               "tlspost, or send it SIGHUP and read its log");
  }
  const auto answer = Ask(path);
  if (!answer.ok()) return Say(kReloadFailed, MessageOf(answer.status()));
  const std::string_view text = *answer;
  const size_t blank = std::min(text.find(' '), text.size());
  const std::string_view word = text.substr(0, blank);
  const std::string_view words = text.substr(std::min(blank + 1, text.size()));
  if (word == "done") return Say(kReloadInForce, words);
  return Say(word == "restart" ? kReloadNeedsRestart : kReloadFailed, words);
}

std::string FormatReloadResult(const Server::ReloadResult& result) {
  if (!result.status.ok()) {
    return absl::StrFormat("failed %s\n", MessageOf(result.status));
  }
  const std::string changes =
      result.words.empty() ? "certificates reloaded, no setting has changed"
                           : absl::StrFormat("in force: %s", result.words);
  if (result.kept.empty()) return absl::StrFormat("done %s\n", changes);
  return absl::StrFormat("restart %s; as before until a restart: %s\n", changes,
                         absl::StrJoin(result.kept, ", "));
}

}  // namespace tlspost
