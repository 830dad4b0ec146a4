#include "proxy/walls/identity.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <set>
#include <system_error>

#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/base/status.h"

namespace tlspost {
namespace {

// More than any user is in; the kernel ends at 65536.
constexpr int kMaxGroups = 1024;
// Of a line in the user data base.
constexpr size_t kMaxEntryOctets = size_t{64} << 10;

// The kernel takes capabilities from the calling thread only, so each gets this
// signal to do it. What comes late is ignored.
constexpr int kDropSignal = SIGURG;
constexpr int kDropLooks = 1000;
constexpr useconds_t kDropLookInterval = 1000;

std::atomic<uint32_t> g_dropped = 0;

// Async-signal-safe. False: something around us does not let anybody do it.
bool DropOwnCapabilities() {
  __user_cap_header_struct header = {};
  header.version = _LINUX_CAPABILITY_VERSION_3;
  const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  return syscall(SYS_capset, &header, none) == 0;
}

void OnDropSignal(int) {
  const int error = errno;
  if (DropOwnCapabilities()) ++g_dropped;
  errno = error;
}

// False: it is there and does not answer.
bool DropCapabilitiesOf(pid_t thread) {
  const uint32_t before = g_dropped;
  if (syscall(SYS_tgkill, getpid(), thread, kDropSignal) != 0) return true;
  for (int i = 0; i < kDropLooks; ++i) {
    if (g_dropped != before) return true;
    if (syscall(SYS_tgkill, getpid(), thread, 0) != 0) return true;
    usleep(kDropLookInterval);
  }
  return false;
}

std::optional<unsigned> NumberIn(const std::string& text) {
  unsigned number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end) return std::nullopt;
  return number;
}

// A number needs no entry.
absl::StatusOr<Identity> LookUpUser(const std::string& user) {
  std::string space(kMaxEntryOctets, '\0');
  passwd entry = {};
  passwd* found = nullptr;
  const auto number = NumberIn(user);
  if (number.has_value()) {
    getpwuid_r(*number, &entry, space.data(), space.size(), &found);
  } else {
    getpwnam_r(user.c_str(), &entry, space.data(), space.size(), &found);
  }
  Identity identity;
  identity.user_name = user;
  if (found == nullptr && number.has_value()) {
    identity.user = identity.group = *number;
    identity.groups = {*number};
    return identity;
  }
  if (found == nullptr) {
    return Invalid(absl::StrFormat(
        "user: there is no user %s; make one (useradd --system %s) or name "
        "another",
        user, user));
  }
  identity.user_name = entry.pw_name;
  identity.user = entry.pw_uid;
  identity.group = entry.pw_gid;
  identity.groups.resize(kMaxGroups);
  int count = kMaxGroups;
  if (getgrouplist(entry.pw_name, entry.pw_gid, identity.groups.data(),
                   &count) < 0) {
    count = kMaxGroups;
  }
  identity.groups.resize(static_cast<size_t>(count));
  return identity;
}

absl::StatusOr<gid_t> LookUpGroup(const std::string& group) {
  const auto number = NumberIn(group);
  if (number.has_value()) return *number;
  std::string space(kMaxEntryOctets, '\0');
  ::group entry = {};
  ::group* found = nullptr;
  getgrnam_r(group.c_str(), &entry, space.data(), space.size(), &found);
  if (found != nullptr) return entry.gr_gid;
  return Invalid(absl::StrFormat(
      "group: there is no group %s; make one (groupadd --system %s) or leave "
      "group out",
      group, group));
}

}  // namespace

absl::StatusOr<std::optional<Identity>> FindIdentity(const Settings& settings) {
  if (settings.user.empty()) return std::nullopt;
  absl::StatusOr<Identity> identity = LookUpUser(settings.user);
  if (!identity.ok()) return identity.status();
  if (!settings.group.empty()) {
    const absl::StatusOr<gid_t> group = LookUpGroup(settings.group);
    if (!group.ok()) return group.status();
    identity->group = *group;
  }
  if (geteuid() == 0) return *std::move(identity);
  if (geteuid() == identity->user) return std::nullopt;
  return MakeStatus(
      absl::StatusCode::kPermissionDenied,
      absl::StrFormat("user: only root can become %s; start as root or as %s, "
                      "or leave user out",
                      identity->user_name, identity->user_name));
}

absl::Status Become(const Identity& identity) {
  const bool became =
      setgroups(identity.groups.size(), identity.groups.data()) == 0 &&
      setresgid(identity.group, identity.group, identity.group) == 0 &&
      setresuid(identity.user, identity.user, identity.user) == 0;
  if (!became) {
    return MakeStatus(
        absl::StatusCode::kPermissionDenied,
        absl::StrFormat("user: cannot become %s: %s; start with CAP_SETUID and "
                        "CAP_SETGID, or as that user",
                        identity.user_name, strerror(errno)));
  }
  // There must be no way back.
  TLSPOST_CHECK(identity.user == 0 || setuid(0) != 0);
  return absl::OkStatus();
}

bool DropCapabilities() {
  if (!DropOwnCapabilities()) return false;
  struct sigaction drop = {};
  drop.sa_handler = OnDropSignal;
  drop.sa_flags = SA_RESTART;
  struct sigaction before = {};
  sigaction(kDropSignal, &drop, &before);
  std::error_code error;
  bool all = true;
  std::set<pid_t> asked = {gettid()};
  // A thread that is made meanwhile has what its maker had.
  for (size_t seen = 0; seen != asked.size() && !error;) {
    seen = asked.size();
    for (std::filesystem::directory_iterator thread("/proc/self/task", error),
         end;
         !error && thread != end; thread.increment(error)) {
      const auto number = NumberIn(thread->path().filename());
      if (!number.has_value()) continue;
      const pid_t id = static_cast<pid_t>(*number);
      if (asked.insert(id).second) all = DropCapabilitiesOf(id) && all;
    }
  }
  sigaction(kDropSignal, &before, nullptr);
  return all && !error;
}

void KeepFileCapabilities() {
  __user_cap_header_struct header = {};
  header.version = _LINUX_CAPABILITY_VERSION_3;
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  if (syscall(SYS_capget, &header, data) != 0) return;
  constexpr uint32_t kKept =
      (1U << CAP_DAC_OVERRIDE) | (1U << CAP_DAC_READ_SEARCH);
  data[0].effective = data[0].permitted = data[0].permitted & kKept;
  data[1].effective = data[1].permitted = 0;
  data[0].inheritable = data[1].inheritable = 0;
  syscall(SYS_capset, &header, data);
}

void HideMemory() {
  const rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

}  // namespace tlspost
