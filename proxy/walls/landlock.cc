#include "proxy/walls/landlock.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "common/base/check.h"

namespace tlspost {
namespace {

// Rights that are newer than the headers of Debian 12, and since when.
constexpr uint64_t kTruncate = uint64_t{1} << 14;
constexpr int kTruncateSince = 3;
constexpr uint64_t kIoctlDevice = uint64_t{1} << 15;
constexpr int kIoctlDeviceSince = 5;
constexpr int kReferSince = 2;

// Everything of the first version; what a rule does not give is denied.
constexpr uint64_t kFirstRights =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |
    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
    LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
    LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |
    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
    LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
    LANDLOCK_ACCESS_FS_MAKE_SYM;

// The rights that mean something for a file; others are for directories.
constexpr uint64_t kOfFiles =
    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;

uint64_t HandledRights(int version) {
  uint64_t rights = kFirstRights;
  if (version >= kReferSince) rights |= LANDLOCK_ACCESS_FS_REFER;
  if (version >= kTruncateSince) rights |= kTruncate;
  if (version >= kIoctlDeviceSince) rights |= kIoctlDevice;
  return rights;
}

uint64_t KernelRights(uint32_t rights) {
  uint64_t result = 0;
  if ((rights & kMayRead) != 0) {
    result |= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
  }
  if ((rights & kMayWrite) != 0) result |= LANDLOCK_ACCESS_FS_WRITE_FILE;
  if ((rights & kMakeFiles) != 0) {
    result |= LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG;
  }
  if ((rights & kMakeSockets) != 0) {
    result |= LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE;
  }
  return result;
}

void AddRule(int ruleset, const FileRule& rule) {
  const int fd = open(rule.path.c_str(), O_PATH | O_CLOEXEC);
  if (fd < 0) return;
  struct stat facts = {};
  landlock_path_beneath_attr beneath = {};
  beneath.parent_fd = fd;
  beneath.allowed_access = KernelRights(rule.rights);
  if (fstat(fd, &facts) == 0 && !S_ISDIR(facts.st_mode)) {
    beneath.allowed_access &= kOfFiles;
  }
  TLSPOST_CHECK(syscall(SYS_landlock_add_rule, ruleset,
                        LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) == 0);
  close(fd);
}

}  // namespace

FileRule ReadBehind(const std::string& link) {
  std::error_code error;
  std::filesystem::path end = std::filesystem::canonical(link, error);
  const bool is_file = !std::filesystem::is_directory(end, error);
  // Never all there is.
  if (is_file && end.parent_path() != end.root_path()) end = end.parent_path();
  return {end.string(), kMayRead};
}

int RestrictFiles(std::span<const FileRule> rules) {
  const int version =
      static_cast<int>(syscall(SYS_landlock_create_ruleset, nullptr, size_t{0},
                               LANDLOCK_CREATE_RULESET_VERSION));
  if (version < 1) return 0;
  landlock_ruleset_attr attributes = {};
  attributes.handled_access_fs = HandledRights(version);
  const int ruleset =
      static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes,
                               sizeof(attributes.handled_access_fs), 0));
  if (ruleset < 0) return 0;
  for (const FileRule& rule : rules) AddRule(ruleset, rule);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  const bool restricted = syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
  close(ruleset);
  return restricted ? version : 0;
}

}  // namespace tlspost
