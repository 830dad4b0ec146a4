// The spare strings of each thread.

#include "common/base/spare_string.h"

#include <array>

namespace tlspost {
namespace {

struct SpareStrings {
  std::array<std::string, kMaxSpareStrings> strings;
  size_t count = 0;
};

thread_local SpareStrings spare;

// What a string holds within itself.
const size_t kOwnOctets = std::string().capacity();

}  // namespace

std::string TakeSpareString() {
  if (spare.count == 0) return std::string();
  return std::move(spare.strings[--spare.count]);
}

std::string SpareCopy(std::string_view text) {
  if (text.size() <= kOwnOctets) return std::string(text);
  std::string copy = TakeSpareString();
  copy = text;
  return copy;
}

void KeepSpareString(std::string& used) {
  const size_t octets = used.capacity();
  const bool is_worth_it = octets > kOwnOctets && octets <= kMaxSpareOctets;
  if (is_worth_it && spare.count < kMaxSpareStrings) {
    used.clear();
    spare.strings[spare.count++] = std::move(used);
  }
  std::string().swap(used);  // an assignment would keep the memory
}

size_t SpareStringOctets() {
  size_t octets = 0;
  for (size_t i = 0; i < spare.count; ++i) {
    octets += spare.strings[i].capacity() + 1;  // and the NUL
  }
  return octets;
}

}  // namespace tlspost
