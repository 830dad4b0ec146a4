// UnixChannel and UnixListener: lines, and descriptors, between two processes
// of one machine, by blocking calls with time limits.
//
// For threads that wait for an administrator; no worker uses it. Every error is
// one plain line.

#ifndef TLSPOST_COMMON_IO_UNIX_CHANNEL_H_
#define TLSPOST_COMMON_IO_UNIX_CHANNEL_H_

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/io/descriptor.h"

namespace tlspost::io {

class UnixChannel {
 public:
  // A longer line is an error.
  static constexpr size_t kMaxLine = 4096;
  // As many as the kernel takes in one message, and some room.
  static constexpr size_t kDescriptorsAtOnce = 200;

  // A connected socket.
  explicit UnixChannel(Descriptor socket) : socket_(std::move(socket)) {}

  // NotFound: nobody listens at `path`.
  static absl::StatusOr<UnixChannel> Connect(const std::string& path);

  // The next line, without its end. Unavailable: the other side has closed;
  // DeadlineExceeded: it says nothing.
  absl::StatusOr<std::string> ReadLine(std::chrono::milliseconds timeout);
  absl::Status Write(std::string_view text);

  // Lets `time` pass. False, and perhaps earlier: the other side has closed, or
  // said something nobody waits for, or Shutdown.
  bool StaysOpen(std::chrono::milliseconds time) {
    return absl::IsDeadlineExceeded(AwaitInput(time));
  }

  // Copies of `sockets` for the other side, which takes as many.
  absl::Status SendDescriptors(std::span<const Descriptor> sockets);
  absl::StatusOr<std::vector<Descriptor>> ReceiveDescriptors(
      size_t count, std::chrono::milliseconds timeout);

  // Ends all that another thread does with it now.
  void Shutdown();

 private:
  absl::Status AwaitInput(std::chrono::milliseconds timeout);

  Descriptor socket_;
  std::string read_;  // behind the last line
};

class UnixListener {
 public:
  // Listens at `path`, for its own user alone (mode 0600). What was there
  // before, and nobody listens at, is replaced. With `take_over` so is what
  // somebody listens at, but not for good until Commit: if this listener ends
  // before, the other one's is there again. Else AlreadyExists: another process
  // is there.
  static absl::StatusOr<UnixListener> Open(const std::string& path,
                                           bool take_over);
  UnixListener(UnixListener&&) noexcept = default;
  UnixListener& operator=(UnixListener&&) = delete;
  // Removes the path, unless it is somebody else's by now.
  ~UnixListener();

  // The one that was there before is not wanted any more.
  void Commit();

  // Cancelled after Shutdown.
  absl::StatusOr<UnixChannel> Accept();
  // Any thread.
  void Shutdown();

 private:
  UnixListener(Descriptor socket, std::string path)
      : socket_(std::move(socket)), path_(std::move(path)) {}

  Descriptor socket_;
  std::string path_;
  // What was at the path is beside it now.
  bool displaces_ = false;
  uint64_t device_ = 0;  // of the path, as we have made it
  uint64_t inode_ = 0;
};

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_UNIX_CHANNEL_H_
