// `tlspost report`: who still sends without TLS or in an old version, asked of
// the running process.

#ifndef TLSPOST_PROXY_REPORT_REPORT_H_
#define TLSPOST_PROXY_REPORT_REPORT_H_

#include <span>

namespace tlspost {

// `args`: the options of serve, for admin_listen, and --json. Prints to
// standard output. Returns the exit status: 1 if there is no answer.
int RunReport(std::span<const char* const> args);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_REPORT_REPORT_H_
