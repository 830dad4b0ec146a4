// Registers the buffer ring and keeps count of what the kernel has left.

#include "common/io/uring_buffers.h"

#include <sys/mman.h>

#include <bit>
#include <cerrno>
#include <cstdint>

#include "common/base/check.h"

namespace tlspost::io {
namespace {

void* MapMemory(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

}  // namespace

UringBuffers::~UringBuffers() {
  if (entries_ != nullptr) munmap(entries_, entries_bytes_);
  if (memory_ != nullptr) munmap(memory_, memory_bytes_);
}

int UringBuffers::Register(io_uring& ring, unsigned count) {
  TLSPOST_REQUIRE(std::has_single_bit(count) && count <= 32768);
  count_ = count;
  entries_bytes_ = count * sizeof(io_uring_buf);
  memory_bytes_ = count * kBufferSize;
  entries_ = static_cast<io_uring_buf_ring*>(MapMemory(entries_bytes_));
  memory_ = static_cast<char*>(MapMemory(memory_bytes_));
  // Not ENOMEM, which would be said of locked memory.
  if (entries_ == nullptr || memory_ == nullptr) return ENOBUFS;
  io_uring_buf_reg registration = {};
  registration.ring_addr = reinterpret_cast<uintptr_t>(entries_);
  registration.ring_entries = count;
  registration.bgid = kGroup;
  const int error = io_uring_register_buf_ring(&ring, &registration, 0);
  if (error < 0) return -error;
  is_registered_ = true;
  io_uring_buf_ring_init(entries_);
  for (unsigned id = 0; id < count; ++id) Add(id);
  return 0;
}

void UringBuffers::Unregister(io_uring& ring) {
  if (is_registered_) io_uring_unregister_buf_ring(&ring, kGroup);
}

void UringBuffers::Add(unsigned id) {
  io_uring_buf_ring_add(entries_, memory_ + id * kBufferSize, kBufferSize,
                        static_cast<uint16_t>(id),
                        io_uring_buf_ring_mask(count_), 0);
  io_uring_buf_ring_advance(entries_, 1);
  ++free_;
}

Chunk UringBuffers::Take(unsigned id, size_t size) {
  TLSPOST_CHECK(id < count_ && free_ > 0 && size <= kBufferSize);
  --free_;
  return Chunk(this, memory_ + id * kBufferSize, size);
}

void UringBuffers::ReturnBlock(char* block) {
  Add(static_cast<unsigned>((block - memory_) / kBufferSize));
}

}  // namespace tlspost::io
