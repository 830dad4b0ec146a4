// The pinned connection's way to the session's transactions and back.

#include "proxy/authentication.h"

#include <utility>

#include "common/base/check.h"
#include "common/smtp/text.h"

namespace tlspost {

void Authentication::Succeed(Lease lease, std::string method,
                             std::string user_name) {
  TLSPOST_REQUIRE(!succeeded() && !method.empty());
  TLSPOST_CHECK(lease->dedicated());
  own_ = std::move(lease);
  own_->stream().Watch();  // so that its end is seen before MAIL is risked
  method_ = std::move(method);
  user_name_ = std::move(user_name);
}

std::string Authentication::LogFields() const {
  std::string fields = "sasl_method=" + method_ + ", ";
  if (!user_name_.empty()) {
    const std::string name = smtp::SanitizeForHeader(user_name_);
    fields += "sasl_username=" + name + ", ";
  }
  return fields;
}

Lease Authentication::Lend() {
  TLSPOST_REQUIRE(succeeded() && !lost_);
  TLSPOST_CHECK(static_cast<bool>(own_));
  return own_.LendOn(*this);
}

void Authentication::GiveBack(std::unique_ptr<Backend> backend, bool reusable) {
  lost_ = !reusable || !backend->at_boundary();
  own_.Resume(std::move(backend), !lost_);
  if (lost_) {
    own_.Return();
  } else {
    own_->stream().Watch();
  }
}

void Authentication::Forget() {
  TLSPOST_CHECK(!lost_);
  own_.Return();
  method_.clear();
  user_name_.clear();
}

}  // namespace tlspost
