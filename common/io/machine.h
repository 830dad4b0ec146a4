// What the machine is like, as far as a server's limits depend on it: its
// clock, a sysctl, who listens on a port.
//
// For messages to the administrator; nothing here is needed to serve, and what
// cannot be found out is said to be unknown. Changes nothing.

#ifndef TLSPOST_COMMON_IO_MACHINE_H_
#define TLSPOST_COMMON_IO_MACHINE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/io/endpoint.h"
#include "common/io/time.h"

namespace tlspost::io {

struct ClockFacts {
  WallTime now;
  // When this program was built: no clock can be right that is behind it.
  std::optional<WallTime> built;
  // Whether something (NTP) keeps it right; nothing: the kernel does not say.
  std::optional<bool> is_synchronized;
};
ClockFacts LookAtClock();

// A number of /proc/sys, by its name with dots: "net.core.somaxconn".
std::optional<int64_t> ReadSysctl(std::string_view name);

// A limit of setrlimit(2).
struct ResourceLimit {
  uint64_t soft = 0;
  uint64_t hard = 0;
  static constexpr uint64_t kUnlimited = ~uint64_t{0};
};
ResourceLimit OpenFilesLimit();
ResourceLimit LockedMemoryLimit();  // in bytes

// What stands between this process and a system call (/proc/self/status).
struct ProcessGuards {
  bool has_seccomp_filter = false;
  bool is_administrator = false;  // CAP_SYS_ADMIN
};
ProcessGuards LookAtGuards();

struct PortOwner {
  int process = 0;               // 0: of a process that we may not look at
  std::string name;              // of the program; empty with process 0
  bool is_same_program = false;  // its file, or its name, is ours
};
// Who listens where `endpoint` cannot be bound; nothing: nobody is found.
std::optional<PortOwner> FindListener(const Endpoint& endpoint);

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_MACHINE_H_
