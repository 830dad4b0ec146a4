// What one operation takes from the heap by operator new once everything is
// warm. OpenSSL's memory does not come from there and is not counted.
//
// The proxy runs on a StillLoop; only its own turns are counted, not its
// peers. Prints the figures, and on failure the blocks, so that a rise can be
// traced.

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>

#include "bench/instructions/cells.h"
#include "common/base/frame_slab.h"

namespace {

struct Tally {
  bool counting = false;
  int64_t ours = 0;
  size_t noted = 0;
  std::array<size_t, 256> sizes;  // of ours, the first ones
};

// Of this thread: the log's writer has its own.
thread_local Tally tally;

void* CountedNew(size_t size) {
  if (tally.counting) {
    ++tally.ours;
    if (tally.noted < tally.sizes.size()) tally.sizes[tally.noted++] = size;
  }
  void* block = std::malloc(size);
  if (block == nullptr) std::abort();
  return block;
}

}  // namespace

void* operator new(size_t size) { return CountedNew(size); }
void* operator new[](size_t size) { return CountedNew(size); }
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return CountedNew(size);
}
void* operator new[](size_t size, const std::nothrow_t&) noexcept {
  return CountedNew(size);
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete[](void* block) noexcept { std::free(block); }
void operator delete(void* block, size_t) noexcept { std::free(block); }
void operator delete[](void* block, size_t) noexcept { std::free(block); }
void operator delete(void* block, const std::nothrow_t&) noexcept {
  std::free(block);
}
void operator delete[](void* block, const std::nothrow_t&) noexcept {
  std::free(block);
}

namespace tlspost::still {
namespace {

constexpr int kWarmUp = 200;
constexpr int kOperations = 100;

struct Allocations {
  double ours;  // for each operation
  std::string sizes;
};

Allocations Measure(const char* name) {
  const Cell& cell = *FindCell(name);
  const std::unique_ptr<Scene> scene = Prepare(cell, StageOptions());
  // A megabyte is many times a message.
  const int weight = cell.operation == "MB" ? 10 : 1;
  const int operations = kOperations / weight;
  for (int i = 0; i < kWarmUp / weight; ++i) cell.operate(*scene);
  tally = Tally();
  scene->stage.set_on_count([](bool begins) { tally.counting = begins; });
  scene->stage.Count(true);
  for (int i = 0; i < operations; ++i) cell.operate(*scene);
  scene->stage.Count(false);
  Allocations found{static_cast<double>(tally.ours) / operations, ""};
  for (size_t i = 0; i < tally.noted; ++i) {
    found.sizes += std::to_string(tally.sizes[i]) + " ";
  }
  std::printf("%-14s %.2f allocations for each %s\n", name, found.ours,
              std::string(cell.operation).c_str());
  return found;
}

TEST(Allocations, AreCounted) {
  // A session cannot do without.
  EXPECT_GT(Measure("resumed").ours, 1);
}

class AllocationsOf : public testing::TestWithParam<const char*> {};

// Under AddressSanitizer each frame is a block of the heap, and no other's.
bool FramesAreKept() {
  constexpr size_t kSize = 64;
  FreeFrame(AllocateFrame(kSize), kSize);
  return ThisThreadFrameUse().kept > 0;
}

TEST_P(AllocationsOf, AWarmOperationAreNone) {
  if (!FramesAreKept()) GTEST_SKIP() << "coroutine frames come from the heap";
  const Allocations found = Measure(GetParam());
  EXPECT_EQ(found.ours, 0) << "octets: " << found.sizes;
}

INSTANTIATE_TEST_SUITE_P(Cells, AllocationsOf,
                         testing::Values("noop", "stream", "pipelined", "bdat",
                                         "bulk", "taking-turns"),
                         [](const testing::TestParamInfo<const char*>& info) {
                           std::string name = info.param;
                           for (char& c : name) {
                             if (c == '-') c = '_';
                           }
                           return name;
                         });

}  // namespace
}  // namespace tlspost::still
