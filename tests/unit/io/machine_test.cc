// Facts about the machine that the test itself can make true.

#include "common/io/machine.h"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "common/io/listen_socket.h"

namespace tlspost::io {
namespace {

TEST(Machine, TheClockIsBehindNoProgramOfOurs) {
  const ClockFacts facts = LookAtClock();
  ASSERT_TRUE(facts.built.has_value());
  EXPECT_GE(facts.now, *facts.built);
}

TEST(Machine, ReadsANumberOfProcSys) {
  EXPECT_GT(ReadSysctl("net.core.somaxconn").value_or(0), 0);
  EXPECT_EQ(ReadSysctl("net.core.no_such_thing"), std::nullopt);
  // Text is no number.
  EXPECT_EQ(ReadSysctl("kernel.ostype"), std::nullopt);
}

TEST(Machine, LimitsAreThoseOfTheProcess) {
  rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  EXPECT_EQ(OpenFilesLimit().soft, limit.rlim_cur);
  EXPECT_LE(LockedMemoryLimit().soft, LockedMemoryLimit().hard);
}

TEST(Machine, KnowsWhetherItIsTheAdministrators) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  ASSERT_EQ(syscall(SYS_capget, &header, data), 0);
  const bool is_administrators =
      (data[0].effective & CAP_TO_MASK(CAP_SYS_ADMIN)) != 0;
  EXPECT_EQ(LookAtGuards().is_administrator, is_administrators);
}

TEST(Machine, FindsWhoListens) {
  const auto any = Endpoint::FromIp("127.0.0.1", 0);
  ASSERT_TRUE(any.ok());
  const auto fd = OpenListenSocket(*any, ListenOptions());
  ASSERT_TRUE(fd.ok());
  sockaddr_storage storage = {};
  socklen_t length = sizeof(storage);
  getsockname(*fd, reinterpret_cast<sockaddr*>(&storage), &length);
  const Endpoint bound =
      Endpoint::FromSockaddr(reinterpret_cast<sockaddr*>(&storage), length);
  const auto owner = FindListener(bound);
  ASSERT_TRUE(owner.has_value());
  EXPECT_EQ(owner->process, getpid());
  EXPECT_EQ(owner->name, program_invocation_short_name);
  EXPECT_TRUE(owner->is_same_program);
  close(*fd);
  EXPECT_FALSE(FindListener(bound).has_value());
}

}  // namespace
}  // namespace tlspost::io
