// Why io_uring cannot be used, in words for an administrator: what the kernel
// said, who is behind it, and the remedy.
//
// The same error has several causes; the process's circumstances tell which.

#ifndef TLSPOST_COMMON_IO_URING_REFUSAL_H_
#define TLSPOST_COMMON_IO_URING_REFUSAL_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "common/io/engine.h"
#include "common/io/machine.h"

namespace tlspost::io {

struct UringCircumstances {
  // Kernel 6.6 and newer: 0 lets everybody use io_uring, 1 only privileged
  // processes and one group, 2 nobody.
  int64_t disabled_sysctl = 0;
  ProcessGuards guards;
  std::string kernel;  // its release
  ResourceLimit locked_memory;
  size_t rings = 1;
  size_t octets = 0;  // of locked memory, which those rings need
};

// One line, without a line end, for an error (errno) of io_uring_setup(2) or
// its companions.
std::string WhyNoUring(int error, const UringCircumstances& circumstances);

// Locked memory that a ring for `options` needs, in octets.
size_t UringMemory(const LoopOptions& options);

// The same line as a status, with the circumstances as they are:
// ResourceExhausted for ENOMEM, FailedPrecondition for all else.
absl::Status UringRefusal(int error, std::span<const LoopOptions> rings);

// There is not enough locked memory for all of `rings`.
absl::Status UringMemoryRefusal(std::span<const LoopOptions> rings);

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_URING_REFUSAL_H_
