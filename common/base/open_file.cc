#include "common/base/open_file.h"

#include <fcntl.h>

#include <cerrno>

namespace tlspost {
namespace {

// A log names clients and recipients.
constexpr mode_t kNewFileMode = 0640;

FileOpener* g_opener = nullptr;

bool IsDenied(int error) { return error == EACCES || error == EPERM; }

}  // namespace

void SetFileOpener(FileOpener* opener) { g_opener = opener; }

int OpenFile(const std::string& path, FileUse use) {
  const int flags = use == FileUse::kRead ? O_RDONLY | O_NONBLOCK
                                          : O_WRONLY | O_APPEND | O_CREAT;
  const int fd = open(path.c_str(), flags | O_CLOEXEC | O_NOCTTY, kNewFileMode);
  if (fd >= 0 || g_opener == nullptr || !IsDenied(errno)) return fd;
  int error = 0;
  const int opened = g_opener->Open(path, use, error);
  errno = error;
  return opened;
}

int StatFile(const std::string& path, struct stat& facts) {
  if (stat(path.c_str(), &facts) == 0) return 0;
  if (g_opener == nullptr || !IsDenied(errno)) return -1;
  errno = g_opener->Stat(path, facts);
  return errno == 0 ? 0 : -1;
}

}  // namespace tlspost
