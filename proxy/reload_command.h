// `tlspost reload`: asks the running tlspost to read its settings anew, and
// waits for what comes of it.

#ifndef TLSPOST_PROXY_RELOAD_COMMAND_H_
#define TLSPOST_PROXY_RELOAD_COMMAND_H_

#include <span>
#include <string>

#include "proxy/server.h"

namespace tlspost {

// The exit statuses, beside 2 for a wrong command line.
inline constexpr int kReloadInForce = 0;
inline constexpr int kReloadFailed = 1;        // all is as it was
inline constexpr int kReloadNeedsRestart = 3;  // for part of what was asked for

// `args` is the command line behind the command; it need only lead to
// control_socket. Prints one line.
int RunReload(std::span<const char* const> args);

// The running one's answer: "done ...", "restart ..." or "failed ...".
std::string FormatReloadResult(const Server::ReloadResult& result);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_RELOAD_COMMAND_H_
