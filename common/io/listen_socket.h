// Listening sockets, made by plain system calls at start-up.
//
// Shared by all loops that use the kernel's sockets. Every error is one line
// that names the address, what is wrong with it and what to do.

#ifndef TLSPOST_COMMON_IO_LISTEN_SOCKET_H_
#define TLSPOST_COMMON_IO_LISTEN_SOCKET_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/io/descriptor.h"
#include "common/io/endpoint.h"
#include "common/io/loop.h"

namespace tlspost::io {

// A bound, listening descriptor, which the caller owns: that of the options, if
// they have one.
absl::StatusOr<int> OpenListenSocket(const Endpoint& endpoint,
                                     const ListenOptions& options);

// Where a socket is bound; without an address if that cannot be told.
Endpoint BoundEndpoint(int socket);

// Whether it is a TCP socket that listens: what somebody else has made need not
// be one.
bool IsTcpListener(int socket);

// Another descriptor of the same socket, -1 if there is none to be had.
int DuplicateSocket(int socket);

// The sockets that systemd has made and passed to this process (LISTEN_FDS), of
// which nobody hears a second time. Before there are threads.
std::vector<Descriptor> InheritedSockets();

// Makes what somebody else has made behave like our own: not inherited by
// children. Whether an accept waits stays as it is: that belongs to the socket
// and not to the descriptor, and another process may accept on it still.
void AdoptSocket(int socket);

// Whether `endpoint` can be bound by us alone. With reuse_port a second
// process of the same user would silently share the port: ask this first.
// Error AlreadyExists: somebody else has it.
absl::Status CheckNotInUse(const Endpoint& endpoint);

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_LISTEN_SOCKET_H_
