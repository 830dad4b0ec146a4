// Limits of control groups, as the kernel writes them.

#include "common/io/memory_limit.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace tlspost::io {
namespace {

class MemoryLimitTest : public ::testing::Test {
 protected:
  MemoryLimitTest() {
    static int number = 0;
    root_ = testing::TempDir() + "tlspost-memory-" + std::to_string(getpid()) +
            "-" + std::to_string(number++);
    Write("/proc/meminfo", "MemFree: 1 kB\nMemTotal:        1048576 kB\n");
  }
  ~MemoryLimitTest() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }

  MemoryLimit Find() const { return FindMemoryLimit(root_); }

 private:
  std::string root_;
};

TEST_F(MemoryLimitTest, IsTheMachinesWithoutAGroup) {
  EXPECT_EQ(Find().octets, uint64_t{1} << 30);
  EXPECT_EQ(Find().source, "the machine");
}

TEST_F(MemoryLimitTest, IsThatOfTheGroupOrOfOneAroundIt) {
  Write("/proc/self/cgroup", "0::/system.slice/tlspost.service\n");
  Write("/sys/fs/cgroup/system.slice/tlspost.service/memory.max", "max\n");
  EXPECT_EQ(Find().octets, uint64_t{1} << 30);
  Write("/sys/fs/cgroup/system.slice/memory.max", "536870912\n");
  EXPECT_EQ(Find().octets, uint64_t{512} << 20);
  Write("/sys/fs/cgroup/system.slice/tlspost.service/memory.max",
        "268435456\n");
  EXPECT_EQ(Find().octets, uint64_t{256} << 20);
  EXPECT_EQ(Find().source,
            "/sys/fs/cgroup/system.slice/tlspost.service/memory.max");
}

TEST_F(MemoryLimitTest, KnowsTheFirstVersion) {
  Write("/proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n");
  Write("/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "1000000\n");
  EXPECT_EQ(Find().octets, 1000000u);
  // Unlimited is a large number there.
  Write("/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes",
        "9223372036854771712\n");
  EXPECT_EQ(Find().octets, uint64_t{1} << 30);
}

TEST_F(MemoryLimitTest, SeesTheTopFromWithinAContainer) {
  Write("/proc/self/cgroup", "0::/docker/abc\n");
  Write("/sys/fs/cgroup/memory.max", "134217728\n");
  EXPECT_EQ(Find().octets, uint64_t{128} << 20);
}

TEST_F(MemoryLimitTest, IsUnknownWhereNothingCanBeRead) {
  EXPECT_EQ(FindMemoryLimit("/no/such/folder").octets, 0u);
}

}  // namespace
}  // namespace tlspost::io
