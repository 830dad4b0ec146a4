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
  own_.Bind(std::move(lease));
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
  TLSPOST_REQUIRE(succeeded() && !lost());
  return own_.Lend();
}

void Authentication::Forget() {
  TLSPOST_CHECK(!lost());
  own_.Release();
  method_.clear();
  user_name_.clear();
}

}  // namespace tlspost
