// NameResolver: the seam to DNS, for the names of peers.
//
// Whoever implements it answers on the asker's own loop; the proxy and the
// simulation differ only in who stands behind it.

#ifndef TLSPOST_COMMON_IO_NAME_RESOLVER_H_
#define TLSPOST_COMMON_IO_NAME_RESOLVER_H_

#include <functional>

#include "common/io/endpoint.h"
#include "common/io/loop.h"
#include "common/io/peer_name.h"
#include "common/io/time.h"

namespace tlspost::io {

class NameResolver {
 public:
  struct Answer {
    PeerName name;
    Duration good_for{};
  };
  using Done = std::function<void(Answer)>;

  virtual ~NameResolver() = default;

  // Looks for the reverse name of `address` and its confirmation. `done` runs
  // once, on `loop`'s thread and never from within this call. Any thread.
  virtual void Resolve(Loop& loop, const Endpoint& address, Done done) = 0;

  // `loop` hears no more answers. On its thread, before it ends.
  virtual void Forget(Loop& loop) = 0;
};

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_NAME_RESOLVER_H_
