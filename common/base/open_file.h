// Opening the administrator's files: by the process itself, or where it may not
// (any more) by whoever was asked to do it for it.
//
// A server that gave up its privileges still reads renewed keys and reopens its
// log through this. It knows nothing of what a file holds.

#ifndef TLSPOST_COMMON_BASE_OPEN_FILE_H_
#define TLSPOST_COMMON_BASE_OPEN_FILE_H_

#include <sys/stat.h>

#include <string>

namespace tlspost {

enum class FileUse {
  kRead,
  kAppend,  // made if it is not there
};

// Opens what the process may not. All methods may be called by any thread.
class FileOpener {
 public:
  virtual ~FileOpener() = default;

  // A descriptor of the caller's; or -1, and `error` is an errno.
  virtual int Open(const std::string& path, FileUse use, int& error) = 0;
  // As stat(2): 0, or an errno.
  virtual int Stat(const std::string& path, struct stat& facts) = 0;
};

// Asked from now on where the process itself hears EACCES or EPERM. Null:
// nobody is. Called while there is one thread; `opener` is not owned.
void SetFileOpener(FileOpener* opener);

// As open(2): a descriptor, or -1 and errno. Never waits for a pipe's other
// end.
int OpenFile(const std::string& path, FileUse use);

// As stat(2): 0, or -1 and errno.
int StatFile(const std::string& path, struct stat& facts);

}  // namespace tlspost

#endif  // TLSPOST_COMMON_BASE_OPEN_FILE_H_
