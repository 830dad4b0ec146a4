// Listening sockets, made by plain system calls at start-up.
//
// Shared by all loops that use the kernel's sockets. Every error is one line
// that names the address, what is wrong with it and what to do.

#ifndef TLSPOST_COMMON_IO_LISTEN_SOCKET_H_
#define TLSPOST_COMMON_IO_LISTEN_SOCKET_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/io/endpoint.h"
#include "common/io/loop.h"

namespace tlspost::io {

// A bound, listening descriptor, which the caller owns.
absl::StatusOr<int> OpenListenSocket(const Endpoint& endpoint,
                                     const ListenOptions& options);

// Whether `endpoint` can be bound by us alone. With reuse_port a second
// process of the same user would silently share the port: ask this first.
// Error AlreadyExists: somebody else has it.
absl::Status CheckNotInUse(const Endpoint& endpoint);

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_LISTEN_SOCKET_H_
