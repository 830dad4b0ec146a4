// Who the process is: the user and groups it goes on as, its capabilities, and
// whether others may look into its memory.
//
// Only ever gives something up.

#ifndef TLSPOST_PROXY_WALLS_IDENTITY_H_
#define TLSPOST_PROXY_WALLS_IDENTITY_H_

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proxy/settings.h"

namespace tlspost {

struct Identity {
  std::string user_name;
  uid_t user = 0;
  gid_t group = 0;
  std::vector<gid_t> groups;  // all of the user's, as after a login
};

// Whom `user` and `group` name; nothing without `user`, or when the process is
// that user already. Error: one line; also when only root could become it.
absl::StatusOr<std::optional<Identity>> FindIdentity(const Settings& settings);

// Becomes it, in all threads, for ever. Error: one line, as when root has no
// right to (a container without CAP_SETUID and CAP_SETGID).
absl::Status Become(const Identity& identity);

// Gives up all capabilities, in all threads, for ever. False: some may have
// kept theirs (there is no /proc, or a thread does not answer).
bool DropCapabilities();

// Keeps, of all capabilities that the calling thread has, those for opening
// other users' files; where that is not allowed, all.
void KeepFileCapabilities();

// No core dumps, and no look into the memory by other processes of this user.
void HideMemory();

}  // namespace tlspost

#endif  // TLSPOST_PROXY_WALLS_IDENTITY_H_
