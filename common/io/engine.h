// The engines that a loop over the kernel's sockets can run on, and the choice
// between them.
//
// io_uring costs the fewest system calls, needs kernel 6.1 or newer, and is
// forbidden by the default profiles of most container runtimes. epoll works
// everywhere. Nothing of either is visible above common/io.

#ifndef TLSPOST_COMMON_IO_ENGINE_H_
#define TLSPOST_COMMON_IO_ENGINE_H_

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/io/endpoint.h"
#include "common/io/engine_choice.h"
#include "common/io/loop.h"

namespace tlspost::io {

enum class Engine { kIoUring, kEpoll };
std::string_view NameOf(Engine engine);  // "io_uring", "epoll"

struct LoopOptions {
  // Of io_uring alone:
  unsigned submission_entries = 1024;  // the completion queue has 8 times that
  unsigned receive_buffers = 1024;     // a power of two
  // Outgoing connections to IP addresses come from these (with port 0), in
  // turn. Empty: from where the kernel chooses. Needed for the call only.
  std::span<const Endpoint> connect_from = {};
};

// Loops of one engine, as many as were asked for.
struct Loops {
  Engine engine = Engine::kEpoll;
  std::vector<std::unique_ptr<Loop>> loops;
  // Not OK: kAuto had to take epoll, and this line is why, with the remedy.
  absl::Status why_not_io_uring;
};

// A loop for each of `options`: all or none, since those of a process share its
// limit of locked memory. A loop may be made by any thread and belongs to the
// one that first runs it, which must also be the one that ends it. The error is
// one line: why, and what to do.
absl::StatusOr<Loops> CreateLoops(EngineChoice choice,
                                  std::span<const LoopOptions> options);

// One loop, for those who need no other.
absl::StatusOr<std::unique_ptr<Loop>> CreateLoop(EngineChoice choice,
                                                 const LoopOptions& options);

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_ENGINE_H_
