// The way of a bound connection to its client's transactions and back.

#include "proxy/bound_backend.h"

#include <utility>

#include "common/base/check.h"

namespace tlspost {

void BoundBackend::Bind(Lease lease) {
  TLSPOST_REQUIRE(!bound() && static_cast<bool>(lease));
  lease->Dedicate();
  own_ = std::move(lease);
  own_.AtBoundary();
  own_->stream().Watch();  // so that its end is seen before MAIL is risked
}

Lease BoundBackend::Lend() {
  TLSPOST_REQUIRE(static_cast<bool>(own_));
  lent_ = true;
  return own_.LendOn(*this);
}

Lease BoundBackend::Take(const BackendPool& pool, bool pinned) {
  TLSPOST_REQUIRE(!lent_);
  const bool is_of_use = own_ && !own_->readable() && own_->takes_mail() &&
                         (pinned || pool.IsCurrent(*own_));
  if (!is_of_use) Release();
  own_.InTransaction();
  return std::move(own_);
}

void BoundBackend::Release() {
  TLSPOST_REQUIRE(!lent_);
  own_.Return();
}

// Its client is gone, and with it the use for it.
void BoundBackend::GiveBackOpen(std::unique_ptr<Backend> backend) {
  TLSPOST_CHECK(lent_);
  lent_ = false;
  own_.Resume(std::move(backend), /*reusable=*/false);
  own_.ReturnOpen();
}

void BoundBackend::GiveBack(std::unique_ptr<Backend> backend, bool reusable) {
  TLSPOST_CHECK(lent_);
  lent_ = false;
  const bool usable = reusable && backend->at_boundary();
  own_.Resume(std::move(backend), usable);
  if (usable) {
    own_->stream().Watch();
  } else {
    own_.Return();
  }
}

}  // namespace tlspost
