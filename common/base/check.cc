// What a failed assertion does: it says which, and ends the process.

#include "common/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace tlspost {

void CheckFailed(const char* kind, const char* condition, const char* file,
                 int line) {
  std::fprintf(stderr, "%s:%d: %s failed: %s\n", file, line, kind, condition);
  std::fflush(stderr);
  std::abort();
}

}  // namespace tlspost
