// Numbers of worlds, and what is printed when one fails.

#include "tests/sim/replay.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <optional>

#include "absl/strings/str_format.h"

// g++ and clang++ say it differently.
#if defined(__SANITIZE_ADDRESS__)
#define TLSPOST_SIM_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TLSPOST_SIM_SANITIZED 1
#endif
#endif

#if defined(TLSPOST_SIM_SANITIZED)
#include <sanitizer/common_interface_defs.h>

// Worlds allocate a lot: short stacks and a small quarantine take a third of
// the time away. ASAN_OPTIONS adds to it. NOLINTNEXTLINE(*-identifier-naming):
// the sanitizer's name.
extern "C" const char* __asan_default_options() {
  return "malloc_context_size=4:quarantine_size_mb=32";
}
#endif

namespace tlspost::sim {
namespace {

std::string& CurrentCommand() {
  static std::string command;
  return command;
}

std::optional<uint64_t> NumberOf(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr) return std::nullopt;
  return std::strtoull(text, nullptr, 10);
}

void PrintCommand() {
  const std::string& command = CurrentCommand();
  if (command.empty()) return;
  const std::string line = command + "\n";
  static_cast<void>(!write(STDERR_FILENO, line.data(), line.size()));
}

void OnAbort(int signal) {
  PrintCommand();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

// An assertion of the proxy or a sanitizer ends the process: the last line
// says which world it was.
void TellOnCrash() {
  static const bool once = [] {
    std::signal(SIGABRT, OnAbort);
#if defined(TLSPOST_SIM_SANITIZED)
    __sanitizer_set_death_callback(PrintCommand);
#else
    std::signal(SIGSEGV, OnAbort);
#endif
    return true;
  }();
  static_cast<void>(once);
}

}  // namespace

void ForEachWorld(uint64_t count, const std::function<void(uint64_t)>& play) {
  TellOnCrash();
  const std::optional<uint64_t> only = NumberOf("TLSPOST_SIM_SEED");
  const testing::TestInfo& test =
      *testing::UnitTest::GetInstance()->current_test_info();
  const uint64_t first = only.value_or(0);
  const uint64_t end = only.has_value() ? first + 1 : count;
  for (uint64_t number = first; number < end; ++number) {
    CurrentCommand() =
        absl::StrFormat("replay: TLSPOST_SIM_SEED=%d %s --gtest_filter=%s.%s",
                        number, testing::internal::GetArgvs().front(),
                        test.test_suite_name(), test.name());
    SCOPED_TRACE(CurrentCommand());
    play(number);
    if (testing::Test::HasFailure()) break;
  }
  CurrentCommand().clear();
}

uint64_t Scaled(uint64_t count) {
  return count * NumberOf("TLSPOST_SIM_WORLDS").value_or(1);
}

uint64_t Sparing() {
#if defined(TLSPOST_SIM_SANITIZED)
  return Scaled(1) > 1 ? 1 : 3;
#else
  return 1;
#endif
}

const std::string& ReplayCommand() { return CurrentCommand(); }

bool Replaying() { return std::getenv("TLSPOST_SIM_SEED") != nullptr; }

}  // namespace tlspost::sim
