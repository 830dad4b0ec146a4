// `tlspost demo`: the whole proxy at work, with nothing to set up.

#ifndef TLSPOST_PROXY_DEMO_DEMO_H_
#define TLSPOST_PROXY_DEMO_DEMO_H_

#include <span>

namespace tlspost {

// Starts the proxy with a throw-away certificate and the sink MTA behind it,
// sends one message over STARTTLS and shows what happened. With --keep it goes
// on serving until it is interrupted. Returns the exit code.
int RunDemo(std::span<const char* const> args);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_DEMO_DEMO_H_
