// The epoll loop, as the rest of common/io sees it.
//
// For where io_uring cannot be used; engine.h chooses.

#ifndef TLSPOST_COMMON_IO_EPOLL_H_
#define TLSPOST_COMMON_IO_EPOLL_H_

#include <memory>

#include "absl/status/statusor.h"
#include "common/io/engine.h"
#include "common/io/loop.h"

namespace tlspost::io {

// Fails only when descriptors or memory have run out.
absl::StatusOr<std::unique_ptr<Loop>> CreateEpollLoop(
    const LoopOptions& options);

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_EPOLL_H_
