// Landlock: which parts of the file system the process can still see.
//
// By system calls of its own (no libc of Debian 12 knows them). Takes rights
// away and never gives any; what the kernel has none of is left out.

#ifndef TLSPOST_PROXY_WALLS_LANDLOCK_H_
#define TLSPOST_PROXY_WALLS_LANDLOCK_H_

#include <cstdint>
#include <span>
#include <string>

namespace tlspost {

// What may be done below a path, as bits.
enum FileRights : uint32_t {
  kMayRead = 1,      // files and directories
  kMayWrite = 2,     // files that are there
  kMakeFiles = 4,    // and new ones
  kMakeSockets = 8,  // and remove what is in their place
};

struct FileRule {
  std::string path;  // a file or a directory; one that is not there is left out
  uint32_t rights = 0;
};

// To read what a link leads to, in the end: the directory, or of a file the
// folder, where it is replaced.
FileRule ReadBehind(const std::string& link);

// Holds for the calling thread and those that it starts, for ever; sets
// no-new-privileges. Returns the version of Landlock that the kernel has; 0:
// none, and nothing is restricted.
int RestrictFiles(std::span<const FileRule> rules);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_WALLS_LANDLOCK_H_
