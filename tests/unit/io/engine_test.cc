// The choice of an engine, where io_uring is refused for real: by a seccomp
// filter and by the limit of locked memory, each in a process of its own.

#include "common/io/engine.h"

#include <grp.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "common/base/status.h"
#include "common/io/uring_refusal.h"
#include "tests/unit/io/loop_under_test.h"

namespace tlspost::io {
namespace {

constexpr LoopOptions kSmall = {.submission_entries = 64, .receive_buffers = 8};

TEST(Engine, HasAName) {
  EXPECT_EQ(NameOf(Engine::kIoUring), "io_uring");
  EXPECT_EQ(NameOf(Engine::kEpoll), "epoll");
}

TEST(Engine, IsTheOneThatIsChosen) {
  const std::vector<LoopOptions> three(3, kSmall);
  const auto uring = CreateLoops(EngineChoice::kIoUring, three);
  ASSERT_TRUE(uring.ok()) << uring.status();
  EXPECT_EQ(uring->engine, Engine::kIoUring);
  EXPECT_EQ(uring->loops.size(), 3u);
  const auto epoll = CreateLoops(EngineChoice::kEpoll, three);
  ASSERT_TRUE(epoll.ok()) << epoll.status();
  EXPECT_EQ(epoll->engine, Engine::kEpoll);
  EXPECT_EQ(epoll->loops.size(), 3u);
  EXPECT_TRUE(epoll->why_not_io_uring.ok()) << "it was asked for";
  const auto best = CreateLoops(EngineChoice::kAuto, three);
  ASSERT_TRUE(best.ok()) << best.status();
  EXPECT_EQ(best->engine, Engine::kIoUring);
}

Task<void> Greet(Listener& listener, int& greeted) {
  auto pair = co_await Connect(listener);
  CO_ASSERT_TRUE(pair.client != nullptr && pair.server != nullptr);
  const absl::Status sent = co_await pair.client->Write("hello", kNever);
  CO_ASSERT_OK(sent);
  auto heard = co_await ReadOctets(*pair.server, 5, kNever);
  EXPECT_EQ(heard.bytes, "hello");
  ++greeted;
}

class EngineTest : public ::testing::TestWithParam<EngineChoice> {};
INSTANTIATE_TEST_SUITE_P(Kernel, EngineTest, testing::ValuesIn(kKernelEngines),
                         EngineName);

TEST_P(EngineTest, ALoopBelongsToTheThreadThatRunsIt) {
  const TimeLimit limit;
  std::unique_ptr<Loop> made = MakeLoop(GetParam(), kSmall);
  // Work may wait for it by then.
  int posted = 0;
  made->PostRemote([&posted] { ++posted; });
  int greeted = 0;
  std::thread other([&] {
    const std::unique_ptr<Loop> loop = std::move(made);
    auto listener = loop->Listen(AnyPort(), ListenOptions());
    ASSERT_TRUE(listener.ok()) << listener.status();
    Play(*loop, Greet(**listener, greeted));
  });
  other.join();
  EXPECT_EQ(greeted, 1);
  EXPECT_EQ(posted, 1);
}

// --- refused for real -----------------------------------------------------

// From now on this process gets `error` from that system call.
void Refuse(int system_call, int error) {
  sock_filter instructions[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(system_call), 0,
               1),
      BPF_STMT(BPF_RET | BPF_K,
               SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog program = {4, instructions};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    std::perror("seccomp");
    _exit(2);
  }
}

// Ends the process: 0 when the choice `engine` leads to epoll and it works.
[[noreturn]] void TalkOverEpoll() {
  auto loops = CreateLoops(EngineChoice::kAuto, {&kSmall, 1});
  if (!loops.ok()) _exit(3);
  const std::string why(MessageOf(loops->why_not_io_uring));
  std::fprintf(stderr, "%s\n", why.c_str());
  if (loops->engine != Engine::kEpoll) _exit(4);
  Loop& loop = *loops->loops.front();
  int greeted = 0;
  {
    auto listener = loop.Listen(AnyPort(), ListenOptions());
    if (!listener.ok()) _exit(5);
    Play(loop, Greet(**listener, greeted));
  }
  const auto refused = CreateLoop(EngineChoice::kIoUring, kSmall);
  if (refused.ok() || MessageOf(refused.status()) != why) _exit(6);
  _exit(greeted == 1 ? 0 : 7);
}

struct Refusal {
  const char* name;
  int system_call;
  int error;
  const char* words;
};
void PrintTo(const Refusal& refusal, std::ostream* out) {
  *out << refusal.name;
}

class EngineDeathTest : public ::testing::TestWithParam<Refusal> {};

TEST_P(EngineDeathTest, FallsBackWhereAProfileRefuses) {
  EXPECT_EXIT(
      {
        Refuse(GetParam().system_call, GetParam().error);
        TalkOverEpoll();
      },
      testing::ExitedWithCode(0), GetParam().words);
}

INSTANTIATE_TEST_SUITE_P(
    Seccomp, EngineDeathTest,
    testing::Values(
        Refusal{"SetupForbidden", SYS_io_uring_setup, EPERM,
                "Operation not permitted: a seccomp profile forbids it"},
        Refusal{"SetupHidden", SYS_io_uring_setup, ENOSYS,
                "Function not implemented: a seccomp profile hides it"},
        // A profile that has one of the three only.
        Refusal{"EnterForbidden", SYS_io_uring_enter, EPERM,
                "Operation not permitted: a seccomp profile forbids it"},
        Refusal{"RegisterHidden", SYS_io_uring_register, ENOSYS,
                "Function not implemented: a seccomp profile hides it"}),
    [](const auto& info) { return info.param.name; });

constexpr int kNotCharged = 9;

// As a user of whom there is nobody else, since the limit is for all processes
// of a user; root is not limited at all.
void BecomeSomebodyWith(size_t locked_memory) {
  const rlimit limit = {locked_memory, locked_memory};
  if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0) _exit(2);
  const auto user = static_cast<uid_t>(1'000'000 + getpid());
  if (setgroups(0, nullptr) != 0 || setgid(user) != 0 || setuid(user) != 0) {
    _exit(2);
  }
}

// Ends the process: 0 when so many rings, and not one more, fit into the memory
// that they are said to need.
[[noreturn]] void FitRings(size_t rings, const LoopOptions& options) {
  BecomeSomebodyWith(rings * UringMemory(options));
  const std::vector<LoopOptions> fit(rings, options);
  {
    const auto loops = CreateLoops(EngineChoice::kIoUring, fit);
    if (!loops.ok()) {
      std::fprintf(stderr, "%s\n", loops.status().ToString().c_str());
      _exit(3);
    }
    const auto more = CreateLoop(EngineChoice::kIoUring, options);
    if (more.ok()) _exit(kNotCharged);
    if (!absl::IsResourceExhausted(more.status())) _exit(4);
  }
  // All or none.
  const std::vector<LoopOptions> too_many(rings + 1, options);
  const auto loops = CreateLoops(EngineChoice::kAuto, too_many);
  if (!loops.ok() || loops->engine != Engine::kEpoll) _exit(5);
  const std::string why(MessageOf(loops->why_not_io_uring));
  std::fprintf(stderr, "%s\n", why.c_str());
  _exit(loops->loops.size() == rings + 1 ? 0 : 6);
}

// Kernels from 5.12 to some time after 6.1 charge rings to no limit.
bool RingsAreCharged() {
  const pid_t child = fork();
  if (child == 0) {
    BecomeSomebodyWith(0);
    _exit(CreateLoop(EngineChoice::kIoUring, kSmall).ok() ? kNotCharged : 0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(EngineMemoryDeathTest, RingsNeedTheMemoryThatIsSaid) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "only root may become a user of whom no other process has "
                    "rings";
  }
  if (!RingsAreCharged()) {
    GTEST_SKIP() << "this kernel charges rings to no limit of locked memory";
  }
  for (const LoopOptions& options : {LoopOptions(), kSmall}) {
    EXPECT_EXIT(FitRings(16, options), testing::ExitedWithCode(0),
                "Cannot allocate memory: 17 rings need [0-9]+ KiB of locked "
                "memory, and the limit for all processes of this user is");
  }
}

}  // namespace
}  // namespace tlspost::io
