// ReadAll: what a descriptor still has, for tests.

#ifndef TLSPOST_TESTS_UNIT_PROXY_READ_ALL_H_
#define TLSPOST_TESTS_UNIT_PROXY_READ_ALL_H_

#include <unistd.h>

#include <string>

namespace tlspost {

// Reads `fd` to its end, and closes it.
inline std::string ReadAll(int fd) {
  std::string text;
  char part[512];
  ssize_t got = 0;
  while ((got = read(fd, part, sizeof(part))) > 0) {
    text.append(part, static_cast<size_t>(got));
  }
  close(fd);
  return text;
}

}  // namespace tlspost

#endif  // TLSPOST_TESTS_UNIT_PROXY_READ_ALL_H_
