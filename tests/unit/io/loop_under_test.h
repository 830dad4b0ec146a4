// The loops that the contract tests run over, and what such a test needs.
//
// A new kind of loop is one more line in AllLoops(); every test of
// stream_test.cc, listener_test.cc, wait_queue_test.cc and so on then runs
// over it with the same expectations.

#ifndef TLSPOST_TESTS_UNIT_IO_LOOP_UNDER_TEST_H_
#define TLSPOST_TESTS_UNIT_IO_LOOP_UNDER_TEST_H_

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/task.h"
#include "common/io/endpoint.h"
#include "common/io/engine.h"
#include "common/io/listener.h"
#include "common/io/loop.h"
#include "common/io/stream.h"

// gtest's ASSERT_* return a value, which a coroutine cannot.
#define CO_ASSERT_TRUE(condition)               \
  do {                                          \
    const bool co_assert_value = (condition);   \
    EXPECT_TRUE(co_assert_value) << #condition; \
    if (!co_assert_value) co_return;            \
  } while (false)
#define CO_ASSERT_OK(status_or)                  \
  do {                                           \
    EXPECT_TRUE((status_or).ok()) << #status_or; \
    if (!(status_or).ok()) co_return;            \
  } while (false)

namespace tlspost::io {

// A free port of this machine, for a listener.
inline Endpoint AnyPort() { return *Endpoint::FromIp("127.0.0.1", 0); }

// A fresh loop, and whether its clock is the world's.
struct LoopKind {
  std::string name;
  bool real_time;  // deadlines may be seen late on a busy machine
  std::unique_ptr<Loop> (*create)();
  Endpoint (*endpoint)();  // where a test may listen
};

std::vector<LoopKind> AllLoops();
std::string LoopName(const ::testing::TestParamInfo<LoopKind>& info);
void PrintTo(const LoopKind& kind, std::ostream* out);

// A loop over the kernel's sockets; ends the process where that cannot be had.
std::unique_ptr<Loop> MakeLoop(EngineChoice engine, const LoopOptions& options);

// For tests over both of them, beyond the contract: TEST_P with an engine.
inline constexpr EngineChoice kKernelEngines[] = {EngineChoice::kIoUring,
                                                  EngineChoice::kEpoll};
std::string EngineName(const ::testing::TestParamInfo<EngineChoice>& info);

// Ends the process, loudly, when a test takes longer: a loop that hangs in the
// kernel cannot be unwound.
class TimeLimit {
 public:
  explicit TimeLimit(unsigned seconds = 120);
  ~TimeLimit();
};

// Runs `body` on `loop` to its end, then stops the loop. A test calls it once
// per loop. Fails when the loop came to rest before the body did.
void Play(Loop& loop, Task<void> body);

// Both ends of one connection.
struct Pair {
  std::unique_ptr<Stream> client;
  std::unique_ptr<Stream> server;
};

// Connects to `listener` and accepts; fails the test if that fails.
Task<Pair> Connect(Listener& listener);

// Reads until `octets` came, the end, or an error.
struct Received {
  std::string bytes;
  absl::Status status;  // OK also at the end
  bool ended = false;
};
Task<Received> ReadOctets(Stream& stream, size_t octets, Time deadline);
// Reads to the end of the stream.
Task<Received> ReadAll(Stream& stream, Time deadline);

// Writes `bytes`, notes how it ended, and shuts down if asked to.
struct Written {
  bool done = false;
  absl::Status status;
  Time when;
};
Task<void> WriteBeside(Stream& stream, std::string_view bytes, Time deadline,
                       Written& written);
// Reads once and notes what came.
struct ReadOnce {
  bool done = false;
  absl::Status status;
  std::string bytes;
  Time when;
};
Task<void> ReadBeside(Stream& stream, Time deadline, ReadOnce& read);

// Bytes in which every position can be told from its neighbours.
std::string Pattern(size_t octets, uint64_t seed = 1);

// What a contract test stands on: a loop with a listener.
class LoopTest : public ::testing::TestWithParam<LoopKind> {
 public:
  Loop& loop() { return *loop_; }
  Listener& listener() { return *listener_; }
  Time In(Duration duration) { return loop_->Now() + duration; }
  // How late something may be seen that the loop does at `kTick` precision.
  Duration slack() const;

 protected:
  LoopTest();
  ~LoopTest() override;

 private:
  TimeLimit limit_;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<Listener> listener_;
};

// A test whose body is a coroutine, which knows its fixture as `test`.
#define LOOP_TEST(suite, name)                                    \
  Task<void> suite##name##Body(suite& test);                      \
  TEST_P(suite, name) { Play(loop(), suite##name##Body(*this)); } \
  Task<void> suite##name##Body([[maybe_unused]] suite& test)

}  // namespace tlspost::io

#endif  // TLSPOST_TESTS_UNIT_IO_LOOP_UNDER_TEST_H_
