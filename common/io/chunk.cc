// The free list behind chunks that are not the kernel's.

#include "common/io/chunk.h"

#include <cstring>

namespace tlspost::io {

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
