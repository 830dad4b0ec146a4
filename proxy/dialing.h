// Dialing: a connection that is being opened, so that a shutdown can end it.
// Private to the pool.

#ifndef TLSPOST_PROXY_DIALING_H_
#define TLSPOST_PROXY_DIALING_H_

#include <optional>
#include <string>

#include "common/io/stream.h"
#include "common/smtp/xclient.h"
#include "proxy/backend_pool.h"

namespace tlspost {

struct BackendPool::Dialing {
  Dialing(BackendTarget& its_target, int its_opening, io::Time now)
      : target(its_target), opening(its_opening), started(now) {}

  BackendTarget& target;
  const int opening;  // see BackendPool
  const io::Time started;
  io::ConnectOp* connect = nullptr;
  Backend* backend = nullptr;
  // Whom it is for, and what is said of that client ahead of all else; of
  // nobody in particular, and nothing, unless each client has its own.
  std::optional<smtp::ClientIdentity> client;
  std::string header;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_DIALING_H_
