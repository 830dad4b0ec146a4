// The io_uring loop, as the rest of common/io sees it.
//
// Kernel 6.1 and newer (DEFER_TASKRUN). One ring per worker thread; nothing of
// liburing is visible here. engine.h chooses between this and epoll.

#ifndef TLSPOST_COMMON_IO_URING_H_
#define TLSPOST_COMMON_IO_URING_H_

#include <memory>

#include "absl/status/statusor.h"
#include "common/io/engine.h"
#include "common/io/loop.h"

namespace tlspost::io {

// The error says in one line why io_uring cannot be used and what to do;
// ResourceExhausted: for want of locked memory.
absl::StatusOr<std::unique_ptr<Loop>> CreateUringLoop(
    const LoopOptions& options);

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_URING_H_
