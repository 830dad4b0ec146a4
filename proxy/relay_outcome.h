// RelayOutcome: how a message ended, whichever way it came (DATA or BDAT).

#ifndef TLSPOST_PROXY_RELAY_OUTCOME_H_
#define TLSPOST_PROXY_RELAY_OUTCOME_H_

#include <cstdint>
#include <string_view>

namespace tlspost {

struct RelayOutcome {
  std::string_view reply;        // what the client is told
  bool accepted = false;         // the backend has taken the message
  bool outcome_unknown = false;  // its end went out and no reply came back
  uint64_t octets = 0;           // of the client's
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_RELAY_OUTCOME_H_
