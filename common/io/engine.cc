// All loops of a process at once, over one engine.

#include "common/io/engine.h"

#include <utility>

#include "common/io/epoll.h"
#include "common/io/uring.h"
#include "common/io/uring_refusal.h"

namespace tlspost::io {
namespace {

absl::StatusOr<Loops> CreateUringLoops(std::span<const LoopOptions> options) {
  Loops result;
  result.engine = Engine::kIoUring;
  for (const LoopOptions& each : options) {
    auto loop = CreateUringLoop(each);
    // Each fits by itself, and not all of them: that is what is to be said.
    if (absl::IsResourceExhausted(loop.status())) {
      return UringMemoryRefusal(options);
    }
    if (!loop.ok()) return loop.status();
    result.loops.push_back(*std::move(loop));
  }
  return result;
}

absl::StatusOr<Loops> CreateEpollLoops(std::span<const LoopOptions> options) {
  Loops result;
  result.engine = Engine::kEpoll;
  for (const LoopOptions& each : options) {
    auto loop = CreateEpollLoop(each);
    if (!loop.ok()) return loop.status();
    result.loops.push_back(*std::move(loop));
  }
  return result;
}

}  // namespace

std::string_view NameOf(Engine engine) {
  return engine == Engine::kIoUring ? "io_uring" : "epoll";
}

absl::StatusOr<Loops> CreateLoops(EngineChoice choice,
                                  std::span<const LoopOptions> options) {
  absl::Status why_not;
  if (choice != EngineChoice::kEpoll) {
    auto loops = CreateUringLoops(options);
    if (loops.ok() || choice == EngineChoice::kIoUring) return loops;
    why_not = loops.status();
  }
  auto loops = CreateEpollLoops(options);
  if (loops.ok()) loops->why_not_io_uring = std::move(why_not);
  return loops;
}

absl::StatusOr<std::unique_ptr<Loop>> CreateLoop(EngineChoice choice,
                                                 const LoopOptions& options) {
  auto loops = CreateLoops(choice, {&options, 1});
  if (!loops.ok()) return loops.status();
  return std::move(loops->loops.front());
}

}  // namespace tlspost::io
