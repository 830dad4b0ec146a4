// The other end of a ControlServer: how a command (reload, trace) finds the
// tlspost that runs. Serves nothing itself.

#ifndef TLSPOST_PROXY_CONTROL_CLIENT_H_
#define TLSPOST_PROXY_CONTROL_CLIENT_H_

#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/io/unix_channel.h"

namespace tlspost {

// Asks the process whose control_socket the settings in `args` name (a command
// line, which need only lead to that setting) for `command`, without its line
// end. Error: one plain line with the remedy.
absl::StatusOr<io::UnixChannel> AskControl(std::span<const char* const> args,
                                           std::string_view command);

// An answer's first word, and what is behind it.
struct ControlAnswer {
  std::string word;
  std::string words;
};
ControlAnswer SplitAnswer(std::string_view line);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_CONTROL_CLIENT_H_
