// What the declared bounds add up to: how much memory the process needs when
// all of them are reached at once.
//
// An estimate for the line at the start and for the README: sums constants and
// settings, and measures nothing.

#ifndef TLSPOST_PROXY_MEMORY_BUDGET_H_
#define TLSPOST_PROXY_MEMORY_BUDGET_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/io/memory_limit.h"
#include "proxy/settings.h"

namespace tlspost {

struct MemoryTerm {
  std::string_view what;
  uint64_t count = 0;
  uint64_t octets = 0;  // of each
};

// `clients`: how many there may be (max_connections, or what descriptors
// allow).
std::vector<MemoryTerm> WorstCaseMemory(const Settings& settings, int workers,
                                        int clients);

uint64_t SumOf(const std::vector<MemoryTerm>& terms);

// "at most 1.5 GiB with every bound reached (clients 1.1 GiB, ...)"
std::string DescribeMemory(const std::vector<MemoryTerm>& terms);

// Empty if it fits into `limit`; else one line with the remedy.
std::string MemoryWarning(const std::vector<MemoryTerm>& terms,
                          const io::MemoryLimit& limit);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_MEMORY_BUDGET_H_
