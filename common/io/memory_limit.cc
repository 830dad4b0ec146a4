#include "common/io/memory_limit.h"

#include <charconv>
#include <fstream>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace tlspost::io {
namespace {

constexpr std::string_view kGroups = "/sys/fs/cgroup";

std::optional<uint64_t> NumberAt(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  return number;
}

std::vector<std::string> LinesOf(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

// "MemTotal:       16384 kB"
uint64_t MachineMemory(const std::string& root) {
  constexpr std::string_view kTotal = "MemTotal:";
  for (const std::string& line : LinesOf(root + "/proc/meminfo")) {
    if (!line.starts_with(kTotal)) continue;
    const size_t at = line.find_first_not_of(' ', kTotal.size());
    if (at == std::string::npos) return 0;
    return NumberAt(std::string_view(line).substr(at)).value_or(0) * 1024;
  }
  return 0;
}

// A folder of the group's hierarchy and the name of the file in it.
struct GroupFile {
  std::string top;
  std::string path;  // of the group below it
  std::string_view name;
};

// "0::/system.slice/x.service" is version 2, "5:memory:/docker/abc" version 1.
std::vector<GroupFile> GroupFilesOf(const std::string& root) {
  std::vector<GroupFile> files;
  const std::string groups = root + std::string(kGroups);
  for (const std::string& line : LinesOf(root + "/proc/self/cgroup")) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers =
        ',' + line.substr(first + 1, second - first - 1) + ',';
    const std::string path = line.substr(second + 1);
    if (controllers == ",,") {
      files.push_back({groups, path, "memory.max"});
      files.push_back({groups + "/unified", path, "memory.max"});
    } else if (controllers.find(",memory,") != std::string::npos) {
      files.push_back({groups + "/memory", path, "memory.limit_in_bytes"});
    }
  }
  return files;
}

}  // namespace

MemoryLimit FindMemoryLimit(const std::string& root) {
  MemoryLimit limit = {MachineMemory(root), "the machine"};
  for (const GroupFile& file : GroupFilesOf(root)) {
    // A group has no more than those around it. In a container only the top is
    // there to be seen.
    std::string path = file.path;
    while (true) {
      const std::string name =
          file.top + (path == "/" ? "" : path) + '/' + std::string(file.name);
      const std::vector<std::string> lines = LinesOf(name);
      const std::optional<uint64_t> octets =
          lines.empty() ? std::nullopt : NumberAt(lines.front());
      if (octets.has_value() && (limit.octets == 0 || *octets < limit.octets)) {
        limit = {*octets, name.substr(root.size())};
      }
      if (path.empty() || path == "/") break;
      path.resize(path.rfind('/'));
    }
  }
  return limit;
}

}  // namespace tlspost::io
