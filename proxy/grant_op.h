// GrantOp: the wait for a backend connection. Private to the pool.

#ifndef TLSPOST_PROXY_GRANT_OP_H_
#define TLSPOST_PROXY_GRANT_OP_H_

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/io/endpoint.h"
#include "common/io/network.h"
#include "common/io/op.h"
#include "proxy/backend_pool.h"

namespace tlspost {

// Errors: DeadlineExceeded (no connection became free in time), Unavailable
// (the backend cannot be reached), Cancelled (the pool shuts down).
class [[nodiscard]] BackendPool::GrantOp final
    : public io::Op,
      public FairQueue<BackendPool::GrantOp>::Node {
 public:
  GrantOp(BackendPool& pool, const Borrower& borrower, io::Time deadline)
      : Op(pool.loop_, deadline),
        pool_(pool),
        borrower_(borrower),
        result_(absl::UnknownError({})) {}  // without words: no memory

  absl::StatusOr<std::unique_ptr<Backend>> await_resume() {
    return std::move(result_);
  }

  const Borrower& borrower() const { return borrower_; }
  const smtp::ClientIdentity& identity() const { return borrower_.identity; }

  // Ends the wait. A connection is on loan from here on, and not only when the
  // waiter runs again: what cuts off all loans meanwhile must find it.
  void Complete(absl::StatusOr<std::unique_ptr<Backend>> result) {
    if (waits()) pool_.waiting_.Remove(*this);
    if (result.ok()) pool_.NoteLent(**result);
    result_ = std::move(result);
    Finish();
  }

 private:
  void Begin() override {
    if (pool_.stopping_) return Complete(absl::CancelledError("stopping"));
    if (pool_.waiting_.empty()) {
      std::unique_ptr<Backend> idle = pool_.TakeIdle(identity());
      if (idle != nullptr) return Complete(std::move(idle));
    }
    const bool down = pool_.open_ == 0 && pool_.targets_.all_down() &&
                      pool_.targets_.BestToDial(loop().Now(), {}) == nullptr;
    if (down) return Complete(pool_.last_failure_);
    pool_.waiting_.Push(*this, ClientBytes());
    pool_.Grow();
  }
  // Behind a load balancer the identity is the client's, too.
  io::AddressBytes ClientBytes() const {
    const auto client = io::Endpoint::FromIp(identity().address, /*port=*/0);
    return client.ok() ? io::ClientBytesOf(*client) : io::AddressBytes();
  }
  void OnDeadline() override {
    Complete(absl::DeadlineExceededError("no backend connection became free"));
  }

  BackendPool& pool_;
  const Borrower& borrower_;
  absl::StatusOr<std::unique_ptr<Backend>> result_;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_GRANT_OP_H_
