// What an administrator is told of one worker: plain values, copied on its
// thread between two turns.

#ifndef TLSPOST_PROXY_WORKER_FACTS_H_
#define TLSPOST_PROXY_WORKER_FACTS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/frame_slab.h"
#include "common/io/time.h"
#include "proxy/counters.h"

namespace tlspost {

// One address that this worker's connections go to.
struct TargetFacts {
  std::string address;
  bool up = false;              // reached, and not failing
  int open = 0;                 // connections, those being opened included
  int lent = 0;                 // of these, to a transaction
  int idle = 0;                 // of these, waiting for work
  int dialing = 0;              // of these, not usable yet
  io::Duration retry_in{};      // while it is down; 0: now
  std::string_view identities;  // per connection: "many", "one", "unknown"
};

struct WorkerReport {
  Counters counters;
  int backend_idle = 0;
  int backend_waiting = 0;
  int backend_open = 0;
  bool reaches_backend = false;
  std::vector<TargetFacts> targets;
  size_t sessions = 0;
  FrameUse frames;     // coroutines that live
  int64_t blocks = 0;  // memory blocks with received octets
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_WORKER_FACTS_H_
