// `tlspost healthcheck`: whether the tlspost with these settings greets, at
// every address that it listens on. For container engines, which judge by the
// exit status.
//
// Asks for the proxy alone: a mail server that is down makes nobody unhealthy,
// and a restart would mend nothing. /readyz says whether mail is taken.

#ifndef TLSPOST_PROXY_HEALTHCHECK_H_
#define TLSPOST_PROXY_HEALTHCHECK_H_

#include <span>

namespace tlspost {

// `args`: the options of serve. One line: to standard output if all is well,
// else to standard error. Returns the exit status, 0 or 1.
int RunHealthcheck(std::span<const char* const> args);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_HEALTHCHECK_H_
