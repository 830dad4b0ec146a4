// Chunk and BlockPool: blocks go back once, from wherever the chunk ends up.

#include "common/io/chunk.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace tlspost::io {
namespace {

class CountingOwner final : public BlockOwner {
 public:
  void ReturnBlock(char* block) override { returned.push_back(block); }
  size_t block_size() const override { return 8; }
  std::vector<char*> returned;
};

TEST(Chunk, TakesMoreWhileTheBlockHasRoom) {
  CountingOwner owner;
  char block[8] = {'a', 'b', 'c'};
  Chunk chunk(&owner, block, 3);
  EXPECT_TRUE(chunk.Append("def"));
  EXPECT_EQ(chunk.view(), "abcdef");
  chunk.Consume(4);
  // What was read at its beginning makes no room at its end.
  EXPECT_FALSE(chunk.Append("ghi"));
  EXPECT_EQ(chunk.view(), "ef");
  EXPECT_TRUE(chunk.Append("gh"));
  EXPECT_EQ(chunk.view(), "efgh");
  EXPECT_TRUE(chunk.Append(""));
  EXPECT_FALSE(chunk.Append("i"));
  chunk.Consume(4);
  EXPECT_FALSE(chunk.Append("j")) << "it has given the block back";
  Chunk none;
  EXPECT_FALSE(none.Append("k"));
}

TEST(Chunk, IsEmptyByDefault) {
  Chunk chunk;
  EXPECT_TRUE(chunk.empty());
  EXPECT_EQ(chunk.size(), 0u);
  EXPECT_EQ(chunk.view(), "");
  chunk.Release();
  chunk.Consume(0);
}

TEST(Chunk, ReturnsItsBlockOnceWhenDestroyed) {
  CountingOwner owner;
  char block[] = "hello";
  {
    const Chunk chunk(&owner, block, 5);
    EXPECT_EQ(chunk.view(), "hello");
    EXPECT_TRUE(owner.returned.empty());
  }
  EXPECT_EQ(owner.returned, std::vector<char*>{block});
}

TEST(Chunk, ReturnsItsBlockWithTheLastOctet) {
  CountingOwner owner;
  char block[] = "hello";
  Chunk chunk(&owner, block, 5);
  chunk.Consume(2);
  EXPECT_EQ(chunk.view(), "llo");
  EXPECT_TRUE(owner.returned.empty());
  chunk.Consume(3);
  EXPECT_TRUE(chunk.empty());
  EXPECT_EQ(owner.returned.size(), 1u);
  EXPECT_EQ(owner.returned.front(), block) << "the block, not what is left";
}

TEST(Chunk, MovesWithoutReturning) {
  CountingOwner owner;
  char block[] = "hello";
  {
    Chunk first(&owner, block, 5);
    first.Consume(1);
    Chunk second = std::move(first);
    EXPECT_TRUE(first.empty());  // NOLINT(bugprone-use-after-move)
    EXPECT_EQ(second.view(), "ello");
    first.Release();
    EXPECT_TRUE(owner.returned.empty());
  }
  EXPECT_EQ(owner.returned.size(), 1u);
}

TEST(Chunk, AnAssignedChunkGivesBackBothBlocks) {
  CountingOwner owner;
  char a[] = "a";
  char b[] = "b";
  {
    Chunk first(&owner, a, 1);
    Chunk second(&owner, b, 1);
    first = std::move(second);
    EXPECT_EQ(first.view(), "b");
  }
  EXPECT_EQ(owner.returned.size(), 2u);
}

TEST(ChunkDeathTest, RefusesToConsumeMoreThanThereIs) {
  CountingOwner owner;
  char block[] = "hello";
  Chunk chunk(&owner, block, 5);
  EXPECT_DEATH(chunk.Consume(6), "REQUIRE failed: count <= size");
}

TEST(BlockPool, CopiesAndCounts) {
  BlockPool pool;
  EXPECT_EQ(pool.blocks_out(), 0);
  {
    const std::string source(BlockPool::kBlockSize, 'x');
    const Chunk full = pool.Copy(source);
    const Chunk small = pool.Copy("small");
    EXPECT_EQ(pool.blocks_out(), 2);
    EXPECT_EQ(full.view(), source);
    EXPECT_EQ(small.view(), "small");
  }
  EXPECT_EQ(pool.blocks_out(), 0);
}

TEST(BlockPool, AnEmptyCopyGivesItsBlockBackToo) {
  BlockPool pool;
  { const Chunk empty = pool.Copy(""); }
  EXPECT_EQ(pool.blocks_out(), 0);
}

TEST(BlockPool, UsesABlockAgain) {
  BlockPool pool;
  char* first = pool.Take();
  pool.ReturnBlock(first);
  char* second = pool.Take();
  EXPECT_EQ(first, second);
  pool.ReturnBlock(second);
}

TEST(BlockPool, BlocksAreWholeAndSeparate) {
  BlockPool pool;
  std::vector<Chunk> chunks;
  // More than it keeps, so that the surplus is freed on return.
  for (size_t i = 0; i < BlockPool::kMaxIdleBlocks + 10; ++i) {
    char* block = pool.Take();
    std::memset(block, static_cast<int>(i), BlockPool::kBlockSize);
    chunks.emplace_back(&pool, block, BlockPool::kBlockSize);
  }
  for (size_t i = 0; i < chunks.size(); ++i) {
    const std::string_view view = chunks[i].view();
    ASSERT_EQ(view.find_first_not_of(static_cast<char>(i)),
              std::string_view::npos);
  }
  chunks.clear();
  EXPECT_EQ(pool.blocks_out(), 0);
}

TEST(BlockPoolDeathTest, RefusesACopyThatDoesNotFit) {
  BlockPool pool;
  const std::string large(BlockPool::kBlockSize + 1, 'x');
  EXPECT_DEATH(pool.Copy(large), "REQUIRE failed");
}

TEST(BlockPoolDeathTest, NoticesABlockThatIsStillOut) {
  EXPECT_DEATH(
      {
        BlockPool pool;
        pool.Take();
      },
      "CHECK failed: blocks_out_ == 0");
}

}  // namespace
}  // namespace tlspost::io
