// Chunk: received bytes in a pooled block, owned by whoever holds the chunk.
//
// The block goes back to its pool when the chunk is destroyed. A chunk is
// consumed from the front, and takes more at its end while the block has room.

#ifndef TLSPOST_COMMON_IO_CHUNK_H_
#define TLSPOST_COMMON_IO_CHUNK_H_

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/check.h"

namespace tlspost::io {

// Where a block came from and goes back to.
class BlockOwner {
 public:
  virtual void ReturnBlock(char* block) = 0;
  // Octets that fit into each of them.
  virtual size_t block_size() const = 0;

 protected:
  ~BlockOwner() = default;
};

class Chunk {
 public:
  Chunk() = default;
  // Takes over `block`, of which the first `size` octets are filled.
  Chunk(BlockOwner* owner, char* block, size_t size)
      : owner_(owner), block_(block), end_(static_cast<uint32_t>(size)) {}
  Chunk(Chunk&& other) noexcept
      : owner_(other.owner_),
        block_(std::exchange(other.block_, nullptr)),
        begin_(std::exchange(other.begin_, 0)),
        end_(std::exchange(other.end_, 0)) {}
  Chunk& operator=(Chunk&& other) noexcept {
    std::swap(owner_, other.owner_);
    std::swap(block_, other.block_);
    std::swap(begin_, other.begin_);
    std::swap(end_, other.end_);
    return *this;
  }
  ~Chunk() { Release(); }

  bool empty() const { return begin_ == end_; }
  size_t size() const { return end_ - begin_; }
  // The unread octets; valid until the chunk is released.
  std::string_view view() const { return {block_ + begin_, size()}; }

  // Drops the first `count` octets; gives the block back with the last one.
  void Consume(size_t count) {
    TLSPOST_REQUIRE(count <= size());
    begin_ += static_cast<uint32_t>(count);
    if (empty()) Release();
  }

  // Copies `more` behind what is there. False, and nothing is done: there is no
  // room for it.
  bool Append(std::string_view more);

  // Gives the block back now.
  void Release() {
    if (block_ != nullptr) owner_->ReturnBlock(block_);
    block_ = nullptr;
    begin_ = end_ = 0;
  }

 private:
  BlockOwner* owner_ = nullptr;
  char* block_ = nullptr;
  uint32_t begin_ = 0;
  uint32_t end_ = 0;
};

// Blocks of one size on a free list, for one thread. The number out is bounded
// by those who take them (one per session that is decrypting, a read's high
// water per stream); at most kMaxIdleBlocks are kept when they come back.
class BlockPool final : public BlockOwner {
 public:
  // A TLS record's plaintext fits (RFC 8446 section 5.1: 2^14 octets).
  static constexpr size_t kBlockSize = 16384;
  static constexpr size_t kMaxIdleBlocks = 256;

  BlockPool() = default;
  ~BlockPool();

  // A block of kBlockSize octets; wrap it in a Chunk(pool, block, size).
  char* Take();
  void ReturnBlock(char* block) override;
  size_t block_size() const override { return kBlockSize; }

  // A chunk with a copy of `bytes`, which fit a block.
  Chunk Copy(std::string_view bytes);

  int64_t blocks_out() const { return blocks_out_; }

 private:
  std::vector<char*> idle_;
  int64_t blocks_out_ = 0;
};

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_CHUNK_H_
