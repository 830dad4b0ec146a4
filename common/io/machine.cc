#include "common/io/machine.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/timex.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

namespace tlspost::io {
namespace {

namespace fs = std::filesystem;

ResourceLimit LimitOf(decltype(RLIMIT_NOFILE) resource) {
  rlimit limit = {};
  getrlimit(resource, &limit);
  const auto octets = [](rlim_t value) {
    return value == RLIM_INFINITY ? ResourceLimit::kUnlimited
                                  : static_cast<uint64_t>(value);
  };
  return {octets(limit.rlim_cur), octets(limit.rlim_max)};
}

// --- who listens ------------------------------------------------------------

constexpr std::string_view kListenState = "0A";

// Inodes of the listening sockets on `port` in /proc/net/tcp or tcp6, any
// address: the other one may be what is in the way.
void AddListeners(const char* table, uint16_t port,
                  std::set<std::string>& inodes) {
  std::ifstream file(table);
  std::string line;
  std::getline(file, line);  // the titles
  while (std::getline(file, line)) {
    // sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode
    std::istringstream words(line);
    std::string number, local, remote, state, queues, timer, retransmitted,
        user, timeout, inode;
    words >> number >> local >> remote >> state >> queues >> timer >>
        retransmitted >> user >> timeout >> inode;
    const size_t colon = local.rfind(':');
    if (state != kListenState || colon == std::string::npos) continue;
    uint32_t found = 0;
    const char* end = local.data() + local.size();
    std::from_chars(local.data() + colon + 1, end, found, 16);
    if (found == port) inodes.insert("socket:[" + inode + "]");
  }
}

bool HoldsAny(const fs::path& process, const std::set<std::string>& sockets) {
  std::error_code error;
  fs::directory_iterator entries(process / "fd", error);
  for (; !error && entries != fs::directory_iterator();
       entries.increment(error)) {
    std::error_code gone;
    const fs::path target = fs::read_symlink(entries->path(), gone);
    if (!gone && sockets.count(target.string()) > 0) return true;
  }
  return false;
}

std::string FirstLineOf(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// After an upgrade the file is another one, and the name is the same.
bool RunsOurProgram(const fs::path& process) {
  if (FirstLineOf(process / "comm") == FirstLineOf("/proc/self/comm")) {
    return true;
  }
  std::error_code error;
  const fs::path ours = fs::read_symlink("/proc/self/exe", error);
  if (error) return false;
  const fs::path theirs = fs::read_symlink(process / "exe", error);
  return !error && ours == theirs;
}

// The number of a process by its directory's name; 0: it is none.
int ProcessNumber(const fs::path& path) {
  const std::string name = path.filename().string();
  int number = 0;
  const char* end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(name.data(), end, number);
  return error == std::errc() && rest == end ? number : 0;
}

}  // namespace

ClockFacts LookAtClock() {
  ClockFacts facts;
  facts.now = std::chrono::system_clock::now();
  struct stat program = {};
  if (stat("/proc/self/exe", &program) == 0) {
    facts.built = std::chrono::system_clock::from_time_t(program.st_mtime);
  }
  timex adjustment = {};
  if (adjtimex(&adjustment) >= 0) {
    facts.is_synchronized = (adjustment.status & STA_UNSYNC) == 0;
  }
  return facts;
}

std::optional<int64_t> ReadSysctl(std::string_view name) {
  std::string path = "/proc/sys/" + std::string(name);
  std::replace(path.begin() + 10, path.end(), '.', '/');
  std::ifstream file(path);
  int64_t value = 0;
  if (!(file >> value)) return std::nullopt;
  return value;
}

ResourceLimit OpenFilesLimit() { return LimitOf(RLIMIT_NOFILE); }
ResourceLimit LockedMemoryLimit() { return LimitOf(RLIMIT_MEMLOCK); }

ProcessGuards LookAtGuards() {
  constexpr int kFilterMode = 2;    // of seccomp(2)
  constexpr int kCapSysAdmin = 21;  // of capabilities(7)
  ProcessGuards guards;
  std::ifstream file("/proc/self/status");
  std::string name;
  std::string value;
  while (file >> name && std::getline(file, value)) {
    std::istringstream words(value);
    if (name == "Seccomp:") {
      int mode = 0;
      words >> mode;
      guards.has_seccomp_filter = mode == kFilterMode;
    } else if (name == "CapEff:") {
      uint64_t effective = 0;
      words >> std::hex >> effective;
      guards.is_administrator = ((effective >> kCapSysAdmin) & 1) != 0;
    }
  }
  return guards;
}

std::optional<PortOwner> FindListener(const Endpoint& endpoint) {
  std::set<std::string> sockets;
  AddListeners("/proc/net/tcp", endpoint.port(), sockets);
  AddListeners("/proc/net/tcp6", endpoint.port(), sockets);
  if (sockets.empty()) return std::nullopt;
  // The process that was there first has opened it for the others.
  std::vector<int> processes;
  std::error_code error;
  fs::directory_iterator entries("/proc", error);
  for (; !error && entries != fs::directory_iterator();
       entries.increment(error)) {
    const int number = ProcessNumber(entries->path());
    if (number > 0) processes.push_back(number);
  }
  std::sort(processes.begin(), processes.end());
  for (const int number : processes) {
    const fs::path process = fs::path("/proc") / std::to_string(number);
    if (!HoldsAny(process, sockets)) continue;
    return PortOwner{number, FirstLineOf(process / "comm"),
                     RunsOurProgram(process)};
  }
  return PortOwner{};
}

}  // namespace tlspost::io
