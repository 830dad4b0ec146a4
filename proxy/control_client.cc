// From a command line to a channel.

#include "proxy/control_client.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "proxy/config.h"

namespace tlspost {

absl::StatusOr<io::UnixChannel> AskControl(std::span<const char* const> args,
                                           std::string_view command) {
  std::vector<absl::Status> errors;
  const std::string path = FindControlSocket(args, errors);
  if (path.empty()) {
    if (!errors.empty()) return errors.front();
    return absl::FailedPreconditionError(
        "there is no control_socket to ask; set one and restart tlspost");
  }
  auto channel = io::UnixChannel::Connect(path);
  if (absl::IsNotFound(channel.status())) {
    return absl::NotFoundError(
        absl::StrFormat("%s; start tlspost with the same control_socket",
                        MessageOf(channel.status())));
  }
  if (!channel.ok()) return channel.status();
  const absl::Status asked = channel->Write(absl::StrFormat("%s\n", command));
  if (!asked.ok()) return asked;
  return channel;
}

ControlAnswer SplitAnswer(std::string_view line) {
  const size_t blank = std::min(line.find(' '), line.size());
  return {std::string(line.substr(0, blank)),
          std::string(line.substr(std::min(blank + 1, line.size())))};
}

}  // namespace tlspost
