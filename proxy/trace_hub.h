// TraceHub: the live dialogue of chosen clients, for an administrator who asks.
//
// One for the process. While nobody asks, a session looks at one flag per line.
// Messages never come here; what may be a secret (the answers of AUTH, replies
// that repeat them, and commands that nobody knows) is masked before it is
// kept. Nobody waits for a slow reader: what it has no room for is dropped and
// counted.

#ifndef TLSPOST_PROXY_TRACE_HUB_H_
#define TLSPOST_PROXY_TRACE_HUB_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/io/network.h"
#include "common/io/stream.h"
#include "common/io/time.h"

namespace tlspost {

class TraceHub {
 public:
  // Tracers at a time, lines that wait for each, octets of a line.
  static constexpr size_t kMaxTracers = 4;
  static constexpr size_t kMaxLines = 2000;
  static constexpr size_t kMaxLineOctets = 512;
  // A tracer that has not taken its lines for so long has gone.
  static constexpr io::Duration kTimeout = std::chrono::seconds(10);

  // --- for sessions, on any worker's thread ---

  // Whether somebody may be listening.
  bool active() const { return count_.load(std::memory_order_relaxed) > 0; }

  // A line of the client, without its end. `secret`: it answers a challenge.
  void NoteLine(const io::Stream& client, std::string_view line, bool secret);
  // Replies to it, with their line ends. `secret`: they repeat such an answer.
  void NoteReplies(const io::Stream& client, std::string_view replies,
                   bool secret);
  // What is no line of either: "message of 1000 octets".
  void NoteEvent(const io::Stream& client, std::string_view what);

  // --- for the administrator, on any thread ---

  // Begins to listen to clients in `networks`. Returns the tracer's number;
  // error: there are too many.
  absl::StatusOr<uint64_t> Open(std::vector<io::Network> networks,
                                io::Time now);

  struct Batch {
    std::vector<std::string> lines;  // "12:00:01.123 192.0.2.1:4711 C: QUIT"
    uint64_t dropped = 0;            // since the last batch
  };
  // What has come since. Error: there is no such tracer (any more).
  absl::StatusOr<Batch> Take(uint64_t tracer, io::Time now);

  // Does nothing when it is gone already.
  void Close(uint64_t tracer);

 private:
  struct Tracer {
    uint64_t number;
    std::vector<io::Network> networks;
    io::Time last_taken;
    std::deque<std::string> lines;
    uint64_t dropped = 0;
  };

  void Note(const io::Stream& client, std::string_view who,
            std::string_view text);
  void DropSilent(io::Time now);  // with the lock held
  void NoteCount();               // likewise

  std::atomic<size_t> count_ = 0;  // of tracers_
  std::mutex mutex_;
  std::vector<Tracer> tracers_;  // guarded by mutex_
  uint64_t opened_ = 0;          // likewise
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_TRACE_HUB_H_
