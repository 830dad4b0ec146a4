// The io_uring loop, as the rest of the program sees it.
//
// Kernel 6.1 and newer (DEFER_TASKRUN). One ring per worker thread; nothing of
// liburing is visible here.

#ifndef TLSPOST_COMMON_IO_URING_H_
#define TLSPOST_COMMON_IO_URING_H_

#include <memory>
#include <span>

#include "absl/status/statusor.h"
#include "common/io/endpoint.h"
#include "common/io/loop.h"

namespace tlspost::io {

struct UringOptions {
  unsigned submission_entries = 1024;  // the completion queue has 8 times that
  unsigned receive_buffers = 1024;     // a power of two
  // Outgoing connections to IP addresses come from these (with port 0), in
  // turn. Empty: from where the kernel chooses. Needed for the call only.
  std::span<const Endpoint> connect_from = {};
};

// Creates a loop for the calling thread, which is the only one that may run
// it. The error says in one line why io_uring cannot be used and what to do.
absl::StatusOr<std::unique_ptr<Loop>> CreateUringLoop(
    const UringOptions& options);

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_URING_H_
