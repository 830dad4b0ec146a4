// The frame slab: counters, alignment, no two frames at one place, reuse.

#include "common/base/frame_slab.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

namespace tlspost {
namespace {

struct Block {
  void* memory;
  size_t size;
  unsigned char mark;
};

bool Intact(const Block& block) {
  const auto* bytes = static_cast<const unsigned char*>(block.memory);
  for (size_t i = 0; i < block.size; ++i) {
    if (bytes[i] != block.mark) return false;
  }
  return true;
}

TEST(FrameSlabTest, CountsFramesAndBytes) {
  const FrameUse before = ThisThreadFrameUse();
  void* small = AllocateFrame(1);
  void* large = AllocateFrame(100'000);
  EXPECT_EQ(ThisThreadFrameUse().frames, before.frames + 2);
  EXPECT_EQ(ThisThreadFrameUse().bytes, before.bytes + 100'001);
  FreeFrame(small, 1);
  FreeFrame(large, 100'000);
  EXPECT_EQ(ThisThreadFrameUse().frames, before.frames);
  EXPECT_EQ(ThisThreadFrameUse().bytes, before.bytes);
}

TEST(FrameSlabTest, EverySizeIsAlignedAndWholeAndItsOwn) {
  std::vector<Block> blocks;
  for (size_t size = 1; size <= 4300; size += 7) {
    const auto mark = static_cast<unsigned char>(size);
    for (int i = 0; i < 2; ++i) {
      void* memory = AllocateFrame(size);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % alignof(std::max_align_t),
                0u);
      std::memset(memory, mark, size);
      blocks.push_back({memory, size, mark});
    }
  }
  for (const Block& block : blocks) {
    EXPECT_TRUE(Intact(block)) << block.size;
    FreeFrame(block.memory, block.size);
  }
}

// Frames come and go in any order, as sessions do; none overlaps another.
TEST(FrameSlabTest, RandomOrder) {
  const FrameUse before = ThisThreadFrameUse();
  std::mt19937 random(1);
  std::vector<Block> blocks;
  for (int turn = 0; turn < 20'000; ++turn) {
    if (blocks.size() < 200 && random() % 2 == 0) {
      const size_t size = 1 + random() % 5000;
      const auto mark = static_cast<unsigned char>(turn);
      void* memory = AllocateFrame(size);
      std::memset(memory, mark, size);
      blocks.push_back({memory, size, mark});
    } else if (!blocks.empty()) {
      std::swap(blocks[random() % blocks.size()], blocks.back());
      ASSERT_TRUE(Intact(blocks.back())) << "turn " << turn;
      FreeFrame(blocks.back().memory, blocks.back().size);
      blocks.pop_back();
    }
  }
  for (const Block& block : blocks) FreeFrame(block.memory, block.size);
  EXPECT_EQ(ThisThreadFrameUse().frames, before.frames);
  EXPECT_EQ(ThisThreadFrameUse().bytes, before.bytes);
}

TEST(FrameSlabTest, EachThreadHasItsOwn) {
  void* ours = AllocateFrame(100);
  FrameUse theirs;
  std::thread([&theirs] {
    theirs = ThisThreadFrameUse();
    FreeFrame(AllocateFrame(200), 200);
  }).join();
  EXPECT_EQ(theirs.frames, 0);
  EXPECT_EQ(theirs.bytes, 0);
  FreeFrame(ours, 100);
}

TEST(FrameSlabDeathTest, NoEmptyFrame) {
  EXPECT_DEATH(AllocateFrame(0), "REQUIRE failed: size > 0");
}

}  // namespace
}  // namespace tlspost
