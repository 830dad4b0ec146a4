// Early return from a coroutine that returns absl::Status or StatusOr.
//
// Both are statements, never expressions: g++ 12 miscompiles a co_await inside
// a statement expression. The awaited call is evaluated alone, into one name.

#ifndef TLSPOST_COMMON_BASE_CO_TRY_H_
#define TLSPOST_COMMON_BASE_CO_TRY_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define TLSPOST_CONCAT_(a, b) a##b
#define TLSPOST_CONCAT(a, b) TLSPOST_CONCAT_(a, b)

// CO_TRY(co_await Call(names)): returns the status when it is not OK.
#define CO_TRY(awaited)                               \
  do {                                                \
    absl::Status co_try_status = awaited;             \
    if (!co_try_status.ok()) co_return co_try_status; \
  } while (false)

// CO_TRY_LET(name, co_await Call(names)): declares `name` with the value, or
// returns the status.
#define CO_TRY_LET(name, awaited)                                \
  auto TLSPOST_CONCAT(co_try_, name) = awaited;                  \
  if (!TLSPOST_CONCAT(co_try_, name).ok()) {                     \
    co_return std::move(TLSPOST_CONCAT(co_try_, name)).status(); \
  }                                                              \
  auto name = *std::move(TLSPOST_CONCAT(co_try_, name))

#endif  // TLSPOST_COMMON_BASE_CO_TRY_H_
