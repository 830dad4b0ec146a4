// Chunks that grow, and the free list behind those that are not the kernel's.

#include "common/io/chunk.h"

#include <cstring>

namespace tlspost::io {

bool Chunk::Append(std::string_view more) {
  if (block_ == nullptr || more.size() > owner_->block_size() - end_) {
    return false;
  }
  std::memcpy(block_ + end_, more.data(), more.size());
  end_ += static_cast<uint32_t>(more.size());
  return true;
}

BlockPool::~BlockPool() {
  TLSPOST_CHECK(blocks_out_ == 0);
  for (char* block : idle_) delete[] block;
}

char* BlockPool::Take() {
  ++blocks_out_;
  if (idle_.empty()) return new char[kBlockSize];
  char* block = idle_.back();
  idle_.pop_back();
  return block;
}

void BlockPool::ReturnBlock(char* block) {
  --blocks_out_;
  if (idle_.size() < kMaxIdleBlocks) {
    idle_.push_back(block);
  } else {
    delete[] block;
  }
}

Chunk BlockPool::Copy(std::string_view bytes) {
  TLSPOST_REQUIRE(bytes.size() <= kBlockSize);
  char* block = Take();
  std::memcpy(block, bytes.data(), bytes.size());
  return Chunk(this, block, bytes.size());
}

}  // namespace tlspost::io
