// Assertions that hold in release builds too.
//
// TLSPOST_REQUIRE is for what a caller owes us, TLSPOST_CHECK for what we owe
// ourselves; both print the broken sentence and abort. Neither is ever used
// for what a peer, a file or an administrator may get wrong: those are replies
// and absl::Status.

#ifndef TLSPOST_COMMON_BASE_CHECK_H_
#define TLSPOST_COMMON_BASE_CHECK_H_

namespace tlspost {

// Prints "FILE:LINE: KIND failed: CONDITION" to standard error and aborts.
[[noreturn]] void CheckFailed(const char* kind, const char* condition,
                              const char* file, int line);

}  // namespace tlspost

#define TLSPOST_CHECK_IMPL_(kind, condition)         \
  (__builtin_expect(static_cast<bool>(condition), 1) \
       ? static_cast<void>(0)                        \
       : ::tlspost::CheckFailed(kind, #condition, __FILE__, __LINE__))

#define TLSPOST_REQUIRE(condition) TLSPOST_CHECK_IMPL_("REQUIRE", condition)
#define TLSPOST_CHECK(condition) TLSPOST_CHECK_IMPL_("CHECK", condition)

#endif  // TLSPOST_COMMON_BASE_CHECK_H_
