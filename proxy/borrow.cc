// Session mode: the same connection for all that a client sends.

#include "proxy/borrow.h"

#include <memory>
#include <utility>

namespace tlspost {

Task<BackendPool::Acquired> BorrowBackend(SessionServices& services,
                                          ClientState& state,
                                          const Borrower& borrower,
                                          io::Time deadline) {
  if (state.bound != nullptr) {
    BackendPool::Acquired own;
    own.lease = state.bound->Take(services.pool, state.authenticated());
    if (own.lease) {
      const Introducer::Outcome introduced =
          co_await services.pool.introducer().IntroduceAgain(
              *own.lease, borrower, own.refusal);
      if (introduced == Introducer::Outcome::kRefused) {
        own.lease.Return();
        co_return own;
      }
      if (introduced == Introducer::Outcome::kDone) {
        state.bound->Bind(std::move(own.lease));
        own.lease = state.bound->Lend();
        co_return own;
      }
    }
  }
  auto acquired = co_await services.pool.Acquire(borrower, deadline);
  const bool keeps =
      services.settings.pool_mode == PoolMode::kSession && acquired.lease;
  if (keeps) {
    if (state.bound == nullptr) {
      state.bound = std::make_unique<BoundBackend>();
    }
    state.bound->Bind(std::move(acquired.lease));
    acquired.lease = state.bound->Lend();
  }
  co_return acquired;
}

}  // namespace tlspost
