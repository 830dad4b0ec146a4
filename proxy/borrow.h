// How a client comes to a backend connection: its own, or one of the pool.

#ifndef TLSPOST_PROXY_BORROW_H_
#define TLSPOST_PROXY_BORROW_H_

#include "common/base/task.h"
#include "common/io/time.h"
#include "proxy/backend_pool.h"
#include "proxy/session_services.h"

namespace tlspost {

// For one transaction. With pool_mode = session the client keeps what it gets,
// and gets it again; a connection that has ended meanwhile is replaced.
Task<BackendPool::Acquired> BorrowBackend(SessionServices& services,
                                          ClientState& state,
                                          const Borrower& borrower,
                                          io::Time deadline);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_BORROW_H_
