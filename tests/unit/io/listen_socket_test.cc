// Listening sockets: what works, and errors that name the address and remedy.

#include "common/io/listen_socket.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "common/base/status.h"
#include "tests/unit/io/loop_under_test.h"

namespace tlspost::io {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Endpoint LocalOf(int fd) {
  sockaddr_storage storage = {};
  socklen_t length = sizeof(storage);
  getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length);
  return Endpoint::FromSockaddr(reinterpret_cast<sockaddr*>(&storage), length);
}

ListenOptions Alone() {
  ListenOptions options;
  options.reuse_port = false;
  return options;
}

std::string ErrorOf(const Endpoint& endpoint) {
  const auto fd = OpenListenSocket(endpoint, Alone());
  EXPECT_FALSE(fd.ok());
  if (fd.ok()) close(*fd);
  const std::string error(MessageOf(fd.status()));
  EXPECT_EQ(error.find('\n'), std::string::npos) << "one line: " << error;
  return error;
}

TEST(ListenSocket, ListensAndIsNotInherited) {
  const auto fd = OpenListenSocket(AnyPort(), Alone());
  ASSERT_TRUE(fd.ok()) << MessageOf(fd.status());
  int listening = 0;
  socklen_t length = sizeof(listening);
  getsockopt(*fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length);
  EXPECT_EQ(listening, 1);
  EXPECT_NE(fcntl(*fd, F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_GT(LocalOf(*fd).port(), 0);
  close(*fd);
}

TEST(ListenSocket, SharesAPortOnlyWhenAsked) {
  const auto first = OpenListenSocket(AnyPort(), ListenOptions());
  ASSERT_TRUE(first.ok());
  const Endpoint bound = LocalOf(*first);
  const auto second = OpenListenSocket(bound, ListenOptions());
  EXPECT_TRUE(second.ok()) << MessageOf(second.status());
  EXPECT_FALSE(OpenListenSocket(bound, Alone()).ok());
  close(*first);
  if (second.ok()) close(*second);
}

TEST(ListenSocket, ABusyPortIsNamedWithTheRemedy) {
  const auto fd = OpenListenSocket(AnyPort(), Alone());
  ASSERT_TRUE(fd.ok());
  const Endpoint bound = LocalOf(*fd);
  EXPECT_THAT(
      ErrorOf(bound),
      AllOf(HasSubstr("cannot listen on " + bound.ToString()),
            HasSubstr("Address already in use"), HasSubstr("ss -ltnp")));
  close(*fd);
}

TEST(ListenSocket, APortCanBeBoundAgainAtOnce) {
  const auto first = OpenListenSocket(AnyPort(), Alone());
  ASSERT_TRUE(first.ok());
  const Endpoint bound = LocalOf(*first);
  close(*first);
  const auto second = OpenListenSocket(bound, Alone());
  EXPECT_TRUE(second.ok()) << MessageOf(second.status());
  if (second.ok()) close(*second);
}

TEST(ListenSocket, AnAddressOfAnotherMachineIsSaidToBeOne) {
  // RFC 5737: for documentation, on no interface.
  EXPECT_THAT(ErrorOf(*Endpoint::FromIp("192.0.2.1", 0)),
              AllOf(HasSubstr("192.0.2.1:0"),
                    HasSubstr("no interface of this machine")));
}

TEST(ListenSocket, ALowPortNeedsAPrivilege) {
  const auto privileged =
      OpenListenSocket(*Endpoint::FromIp("127.0.0.1", 1023), Alone());
  if (privileged.ok()) {
    close(*privileged);
    GTEST_SKIP() << "this user may bind port 1023 (root, or "
                    "net.ipv4.ip_unprivileged_port_start)";
  }
  const std::string error(MessageOf(privileged.status()));
  EXPECT_THAT(error, AllOf(HasSubstr("127.0.0.1:1023"),
                           HasSubstr("CAP_NET_BIND_SERVICE")));
}

TEST(ListenSocket, CheckNotInUseSeesASharedPortToo) {
  const auto fd = OpenListenSocket(AnyPort(), ListenOptions());
  ASSERT_TRUE(fd.ok());
  const Endpoint bound = LocalOf(*fd);
  const absl::Status busy = CheckNotInUse(bound);
  ASSERT_FALSE(busy.ok()) << "a second tlspost would share the port silently";
  EXPECT_THAT(std::string(MessageOf(busy)), HasSubstr(bound.ToString()));
  close(*fd);
  EXPECT_TRUE(CheckNotInUse(bound).ok());
}

TEST(ListenSocket, CheckNotInUseLeavesNothingOpen) {
  const Endpoint any = AnyPort();
  EXPECT_TRUE(CheckNotInUse(any).ok());
  const int before = dup(0);
  close(before);
  const auto fd = OpenListenSocket(any, Alone());
  ASSERT_TRUE(fd.ok());
  const Endpoint bound = LocalOf(*fd);
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(CheckNotInUse(bound).ok());
  close(*fd);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(CheckNotInUse(bound).ok());
  const int after = dup(0);
  close(after);
  EXPECT_EQ(before, after) << "descriptors leak";
}

// It is the socket's, and another process may rely on it: one that uses epoll
// would hang in accept when somebody else was faster.
TEST(ListenSocket, AdoptedItStaysAsItIs) {
  for (const int nonblocking : {0, O_NONBLOCK}) {
    const auto fd = OpenListenSocket(AnyPort(), Alone());
    ASSERT_TRUE(fd.ok());
    ASSERT_EQ(fcntl(*fd, F_SETFL, nonblocking), 0);
    ASSERT_EQ(fcntl(*fd, F_SETFD, 0), 0);
    AdoptSocket(*fd);
    EXPECT_EQ(fcntl(*fd, F_GETFL) & O_NONBLOCK, nonblocking);
    EXPECT_EQ(fcntl(*fd, F_GETFD), FD_CLOEXEC);
    close(*fd);
  }
}

TEST(ListenSocket, ListensOnAUnixPath) {
  const std::string path =
      testing::TempDir() + "tlspost-listen-" + std::to_string(getpid());
  unlink(path.c_str());
  const Endpoint endpoint = Endpoint::Unix(path);
  const auto fd = OpenListenSocket(endpoint, Alone());
  ASSERT_TRUE(fd.ok()) << MessageOf(fd.status());
  EXPECT_EQ(LocalOf(*fd), endpoint);
  EXPECT_THAT(ErrorOf(endpoint), HasSubstr("unix:" + path));
  close(*fd);
  unlink(path.c_str());
}

}  // namespace
}  // namespace tlspost::io
