// Thread-local free lists for coroutine frames.

#include "common/base/frame_slab.h"

#include <new>

#include "common/base/check.h"

#if defined(__SANITIZE_ADDRESS__)
#define TLSPOST_FRAMES_ON_HEAP 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TLSPOST_FRAMES_ON_HEAP 1
#endif
#endif
#ifndef TLSPOST_FRAMES_ON_HEAP
#define TLSPOST_FRAMES_ON_HEAP 0
#endif

namespace tlspost {
namespace {

// Small steps, since an idle session is three frames: what is rounded up is
// lost for each of them. Frames are multiples of 8 octets, and the C library
// loses nothing more with those that are no multiples of 16.
constexpr size_t kClassBytes = 8;
// Frames above 4 KiB are against the coroutine rules (no arrays in a frame);
// they work, but come from the heap each time.
constexpr size_t kClasses = 4096 / kClassBytes;

struct FreeBlock {
  FreeBlock* next;
};

struct Slab {
  FreeBlock* free[kClasses] = {};
  FrameUse use;

  ~Slab() {
    for (FreeBlock*& head : free) {
      while (head != nullptr) {
        FreeBlock* block = head;
        head = block->next;
        ::operator delete(block);
      }
    }
  }
};

thread_local Slab slab;

constexpr size_t ClassOf(size_t size) { return (size - 1) / kClassBytes; }
constexpr size_t BytesOf(size_t size_class) {
  return (size_class + 1) * kClassBytes;
}
static_assert(BytesOf(0) >= sizeof(FreeBlock));

}  // namespace

void* AllocateFrame(size_t size) {
  TLSPOST_REQUIRE(size > 0);
  ++slab.use.frames;
  slab.use.bytes += static_cast<int64_t>(size);
  const size_t size_class = ClassOf(size);
  if (TLSPOST_FRAMES_ON_HEAP || size_class >= kClasses) {
    return ::operator new(size);
  }
  FreeBlock*& head = slab.free[size_class];
  if (head == nullptr) return ::operator new(BytesOf(size_class));
  FreeBlock* block = head;
  head = block->next;
  slab.use.kept -= static_cast<int64_t>(BytesOf(size_class));
  return block;
}

void FreeFrame(void* frame, size_t size) {
  --slab.use.frames;
  slab.use.bytes -= static_cast<int64_t>(size);
  const size_t size_class = ClassOf(size);
  if (TLSPOST_FRAMES_ON_HEAP || size_class >= kClasses) {
    ::operator delete(frame);
    return;
  }
  auto* block = static_cast<FreeBlock*>(frame);
  block->next = slab.free[size_class];
  slab.free[size_class] = block;
  slab.use.kept += static_cast<int64_t>(BytesOf(size_class));
}

FrameUse ThisThreadFrameUse() { return slab.use; }

}  // namespace tlspost
