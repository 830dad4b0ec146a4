// Memory for coroutine frames: free lists by size class, one set per thread.
//
// A frame is taken and given back on the same thread (a worker never hands a
// coroutine to another), so there are no locks. Under AddressSanitizer every
// frame comes from the heap, so that a use after the end is seen; the counters
// are kept all the same. Memory in the free lists is kept for the thread's
// life: it is bounded by the largest number of frames that lived at once.

#ifndef TLSPOST_COMMON_BASE_FRAME_SLAB_H_
#define TLSPOST_COMMON_BASE_FRAME_SLAB_H_

#include <cstddef>
#include <cstdint>

namespace tlspost {

// What this thread's coroutine frames use now.
struct FrameUse {
  int64_t frames = 0;  // living frames
  int64_t bytes = 0;   // sum of the sizes the compiler asked for
  int64_t kept = 0;    // bytes in the free lists
};

// Returns memory for a frame of `size` bytes, aligned for std::max_align_t.
void* AllocateFrame(size_t size);

// Gives back what AllocateFrame(size) returned, on the same thread.
void FreeFrame(void* frame, size_t size);

FrameUse ThisThreadFrameUse();

}  // namespace tlspost

#endif  // TLSPOST_COMMON_BASE_FRAME_SLAB_H_
