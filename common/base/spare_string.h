// Spare strings: memory of strings that were used and are needed no more, for
// the next ones of this thread.
//
// A message needs a few dozen texts that live for moments: commands, replies,
// the header, the line in the log. They are built in strings that begin with
// the memory of earlier ones, so that a warm worker asks the heap for none. A
// spare string is an ordinary std::string: who forgets to give it back has only
// lost the memory's reuse. What it held is not wiped: secrets have none of it.

#ifndef TLSPOST_COMMON_BASE_SPARE_STRING_H_
#define TLSPOST_COMMON_BASE_SPARE_STRING_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/frame_slab.h"

namespace tlspost {

// What a thread keeps at most: so many, none of them with more than so much
// memory (twice what a TLS connection writes at once). A string that has no
// memory of its own is not kept.
inline constexpr size_t kMaxSpareStrings = 64;
inline constexpr size_t kMaxSpareOctets = 163840;

// An empty string, with memory if there is a spare one.
std::string TakeSpareString();
// The same with `text` in it.
std::string SpareCopy(std::string_view text);
// `used` is empty afterwards, and has no memory.
void KeepSpareString(std::string& used);

// The memory of those that this thread keeps now, in octets.
size_t SpareStringOctets();

// A spare string for as long as this lives.
class SpareString {
 public:
  SpareString() : text_(TakeSpareString()) {}
  explicit SpareString(std::string_view text) : text_(SpareCopy(text)) {}
  // Gives `text` back at the end, wherever its memory is from.
  explicit SpareString(std::string&& text) : text_(std::move(text)) {}
  SpareString(const SpareString&) = delete;
  SpareString& operator=(const SpareString&) = delete;
  ~SpareString() { KeepSpareString(text_); }

  std::string& operator*() { return text_; }
  const std::string& operator*() const { return text_; }
  std::string* operator->() { return &text_; }
  const std::string* operator->() const { return &text_; }

  // Not from the heap either.
  static void* operator new(size_t size) { return AllocateFrame(size); }
  static void operator delete(void* block, size_t size) {
    FreeFrame(block, size);
  }

 private:
  std::string text_;
};

}  // namespace tlspost

#endif  // TLSPOST_COMMON_BASE_SPARE_STRING_H_
