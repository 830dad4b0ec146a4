// UringBuffers: the provided-buffer ring the kernel receives into. Private to
// common/io.
//
// An idle connection has no buffer; the kernel takes one from the ring when
// bytes arrive. Whoever holds a chunk holds one of these buffers, so a chunk
// that has to wait is copied out when few are left (scarce()).

#ifndef TLSPOST_COMMON_IO_URING_BUFFERS_H_
#define TLSPOST_COMMON_IO_URING_BUFFERS_H_

#include <liburing.h>

#include <cstddef>

#include "common/io/chunk.h"

namespace tlspost::io {

class UringBuffers final : public BlockOwner {
 public:
  static constexpr size_t kBufferSize = 8192;
  static constexpr int kGroup = 0;

  UringBuffers() = default;
  ~UringBuffers();

  // `count` is a power of two. 0, or the error (errno).
  int Register(io_uring& ring, unsigned count);
  void Unregister(io_uring& ring);

  // The chunk that the kernel filled: buffer `id` with `size` octets.
  Chunk Take(unsigned id, size_t size);
  void ReturnBlock(char* block) override;
  size_t block_size() const override { return kBufferSize; }

  // Fewer than a quarter are left to the kernel.
  bool scarce() const { return free_ < count_ / 4; }
  bool exhausted() const { return free_ == 0; }
  unsigned free() const { return free_; }

 private:
  void Add(unsigned id);

  io_uring_buf_ring* entries_ = nullptr;
  size_t entries_bytes_ = 0;
  char* memory_ = nullptr;
  size_t memory_bytes_ = 0;
  bool is_registered_ = false;
  unsigned count_ = 0;
  unsigned free_ = 0;
};

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_URING_BUFFERS_H_
