// BoundBackend: a backend connection that one client keeps.
//
// It holds what the pool has lent and lends it on to this client's
// transactions, one after the other, which cannot tell it from a connection of
// the pool. It serves nobody else: when the client is done with it, the pool
// closes it. Decides nothing about when a client gets one.

#ifndef TLSPOST_PROXY_BOUND_BACKEND_H_
#define TLSPOST_PROXY_BOUND_BACKEND_H_

#include <memory>

#include "proxy/backend_pool.h"

namespace tlspost {

class BoundBackend final : private LeaseHome {
 public:
  // `lease` is at a boundary. From now on no other client gets it.
  void Bind(Lease lease);
  // Whether there is one, lent on or not.
  bool bound() const { return lent_ || static_cast<bool>(own_); }

  // The connection, for one transaction. It comes back by itself, or, when it
  // was lost, is none any more.
  Lease Lend();
  // The connection for good, or an empty lease: there is none, it has ended
  // while nobody used it, the server takes no more mails over it, or, unless it
  // is `pinned` (by AUTH, which would be lost), a reload wants others.
  Lease Take(const BackendPool& pool, bool pinned);
  // Gives it back to the pool. Not while it is lent on.
  void Release();

 private:
  void GiveBack(std::unique_ptr<Backend> backend, bool reusable) override;
  void GiveBackOpen(std::unique_ptr<Backend> backend) override;

  Lease own_;  // the pool's; empty while the connection is lent on
  bool lent_ = false;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_BOUND_BACKEND_H_
