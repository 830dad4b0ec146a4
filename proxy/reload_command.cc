// One question over the control socket, from both sides.

#include "proxy/reload_command.h"

#include <chrono>
#include <cstdio>
#include <string_view>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "proxy/control_client.h"

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

}  // namespace

int RunReload(std::span<const char* const> args) {
  auto channel = AskControl(args, "reload");
  if (!channel.ok()) return Say(kReloadFailed, MessageOf(channel.status()));
  const auto line = channel->ReadLine(kReloadTime);
  if (!line.ok()) return Say(kReloadFailed, MessageOf(line.status()));
  const ControlAnswer answer = SplitAnswer(*line);
  if (answer.word == "done") return Say(kReloadInForce, answer.words);
  return Say(answer.word == "restart" ? kReloadNeedsRestart : kReloadFailed,
             answer.words);
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
