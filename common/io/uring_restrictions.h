// What a ring may be asked to do: the operations that this folder submits, and
// no other.
//
// A system call filter does not see what goes through a ring: without this,
// whoever takes over a worker could open files by it. Private to common/io.

#ifndef TLSPOST_COMMON_IO_URING_RESTRICTIONS_H_
#define TLSPOST_COMMON_IO_URING_RESTRICTIONS_H_

#include <liburing.h>

namespace tlspost::io {

// Restricts `ring`, which was set up with IORING_SETUP_R_DISABLED, for the rest
// of its life and enables it for the calling thread. Whatever else is submitted
// afterwards ends with EACCES. Returns 0 or an errno.
int RestrictAndEnable(io_uring& ring);

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_URING_RESTRICTIONS_H_
