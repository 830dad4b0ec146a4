// Walls: what a serving process cannot do, so that nobody who takes it over
// can.
//
// Built before there is a second thread and before a key is read: core dumps
// end, a FileKeeper is started, and the file system is closed by Landlock.
// Closed when all ports are bound and before the first client is let in: the
// process becomes `user` and its system calls are filtered. What the kernel
// lacks is left out, and said.

#ifndef TLSPOST_PROXY_WALLS_WALLS_H_
#define TLSPOST_PROXY_WALLS_WALLS_H_

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/open_file.h"
#include "proxy/settings.h"
#include "proxy/walls/file_keeper.h"
#include "proxy/walls/identity.h"

namespace tlspost {

// The files that the settings, the settings file and the SNI map name to be
// read. Reads the map with the caller's rights.
std::vector<std::string> FilesNamedBy(const Settings& settings,
                                      std::span<const char* const> args);

class Walls {
 public:
  // `settings` were loaded from `args`, which outlive this. While there is one
  // thread. Error: one line.
  static absl::StatusOr<std::unique_ptr<Walls>> Build(
      const Settings& settings, std::span<const char* const> args);
  ~Walls();

  // In all threads. Returns what holds from now on, for the log. Error: it
  // cannot become the user.
  absl::StatusOr<std::string> Close();

 private:
  Walls(std::optional<Identity> identity, bool sandbox)
      : identity_(std::move(identity)), sandbox_(sandbox) {}

  const std::optional<Identity> identity_;
  const bool sandbox_;
  int landlock_version_ = 0;
  std::unique_ptr<FileKeeper> keeper_;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_WALLS_WALLS_H_
