// `tlspost trace NETWORK...`, from both sides: a TraceHub's lines, to a reader
// that may leave at any time.

#ifndef TLSPOST_PROXY_TRACE_COMMAND_H_
#define TLSPOST_PROXY_TRACE_COMMAND_H_

#include <functional>
#include <span>
#include <string_view>

#include "absl/status/status.h"
#include "proxy/trace_hub.h"

namespace tlspost {

struct TraceReader {
  // Error: it has left.
  std::function<absl::Status(std::string_view)> write;
  // Lets a moment pass. False: it has left, or is to go.
  std::function<bool()> wait;
};

// Asks the running tlspost for the dialogue of the clients that `args` name
// beside settings, and prints it until one of them ends it. Exit status 1: it
// could not begin, or tlspost has ended it.
int RunTrace(std::span<const char* const> args);

// Writes "tracing NETWORKS" and then the dialogue of clients in `networks`
// (parted by blanks) until the reader leaves. A wrong network and too many
// traces are one line, "failed WHY".
void ServeTrace(TraceHub& hub, std::string_view networks,
                const TraceReader& reader);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_TRACE_COMMAND_H_
