// A log that keeps nothing.

#ifndef TLSPOST_TESTS_UNIT_PROXY_NO_LOG_H_
#define TLSPOST_TESTS_UNIT_PROXY_NO_LOG_H_

#include <string_view>

#include "proxy/log.h"

namespace tlspost {

class NoLog final : public Log {
 protected:
  void Write(std::string_view, std::string_view) override {}
};

}  // namespace tlspost

#endif  // TLSPOST_TESTS_UNIT_PROXY_NO_LOG_H_
