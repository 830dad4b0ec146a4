// How much memory this process may have: the machine's, or what its control
// group (version 1 or 2) leaves it.
//
// For a message at the start; what cannot be read does not limit.

#ifndef TLSPOST_COMMON_IO_MEMORY_LIMIT_H_
#define TLSPOST_COMMON_IO_MEMORY_LIMIT_H_

#include <cstdint>
#include <string>

namespace tlspost::io {

struct MemoryLimit {
  uint64_t octets = 0;  // 0: not known
  std::string source;   // "the machine", or the file that says so
};

// `root` is in front of /proc and /sys, for tests.
MemoryLimit FindMemoryLimit(const std::string& root = "");

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_MEMORY_LIMIT_H_
