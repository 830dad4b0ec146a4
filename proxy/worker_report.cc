// What a worker tells the administrator.

#include <algorithm>

#include "common/base/frame_slab.h"
#include "proxy/worker.h"

namespace tlspost {

WorkerReport Worker::Report() const {
  WorkerReport report;
  report.counters = counters_;
  report.backend_idle = pool_.idle_connections();
  report.backend_waiting = pool_.waiting();
  report.backend_open = pool_.open_connections();
  report.reaches_backend = pool_.reaches_backend();
  report.targets = pool_.Targets();
  report.sessions = session_tasks_.size();
  report.frames = ThisThreadFrameUse();
  report.blocks = loop_.blocks().blocks_out();
  return report;
}

std::vector<SessionFacts> Worker::Sessions(size_t limit) {
  std::vector<SessionFacts> facts;
  facts.reserve(std::min(limit, session_tasks_.size()));
  sessions_.ForEach([&](const Session& session) {
    if (facts.size() < limit) facts.push_back(session.Facts());
  });
  return facts;
}

}  // namespace tlspost
