// FileKeeper: a small process that opens the files which the settings name, for
// a server that may not.
//
// It is forked before any key is read and any privilege given up, keeps what it
// was born with, and answers questions over a socket pair with descriptors. It
// opens nothing else: what it may open it asks its own `MayOpen`, never the
// server. It ends with the server.

#ifndef TLSPOST_PROXY_WALLS_FILE_KEEPER_H_
#define TLSPOST_PROXY_WALLS_FILE_KEEPER_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/open_file.h"

namespace tlspost {

class FileKeeper final : public FileOpener {
 public:
  // Whether the file may be opened so. Called in the keeper's process.
  using MayOpen = std::function<bool(const std::string& path, FileUse use)>;

  // Forks; to be called while there is one thread. `confine` is called once in
  // the new process, before it answers anything. Error: one line.
  static absl::StatusOr<std::unique_ptr<FileKeeper>> Start(
      MayOpen may_open, const std::function<void()>& confine);
  // The process ends, and is waited for a second.
  ~FileKeeper() override;

  // With ETIMEDOUT or EPIPE there is no answer: the process is stuck, or gone.
  int Open(const std::string& path, FileUse use, int& error) override;
  int Stat(const std::string& path, struct stat& facts) override;

 private:
  struct Answer;

  FileKeeper(int socket, pid_t process) : socket_(socket), process_(process) {}
  Answer Ask(uint8_t question, const std::string& path);

  std::mutex mutex_;  // one question at a time
  const int socket_;
  const pid_t process_;
  uint32_t questions_ = 0;  // guarded by mutex_
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_WALLS_FILE_KEEPER_H_
