// What the service manager hears, over a socket of either kind.

#include "common/io/service_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <string>

namespace tlspost::io {
namespace {

using ::testing::MatchesRegex;

// The manager's end: a datagram socket at a path, or at "@name".
class Ear {
 public:
  explicit Ear(const std::string& name) : name_(name) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path, sizeof(address.sun_path) - 1);
    if (name.front() == '@') address.sun_path[0] = '\0';
    descriptor_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    unlink(name.c_str());
    const auto length =
        static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    EXPECT_EQ(bind(descriptor_, reinterpret_cast<sockaddr*>(&address), length),
              0);
  }
  ~Ear() {
    close(descriptor_);
    unlink(name_.c_str());
  }

  // The next datagram; empty when there is none.
  std::string Heard() {
    char bytes[512];
    const ssize_t size = recv(descriptor_, bytes, sizeof(bytes), MSG_DONTWAIT);
    return size < 0 ? "" : std::string(bytes, static_cast<size_t>(size));
  }

 private:
  const std::string name_;
  int descriptor_ = -1;
};

class ServiceManagerTest : public ::testing::TestWithParam<std::string> {
 protected:
  ServiceManagerTest()
      : name_(GetParam() + "tlspost-notify-" + std::to_string(getpid())) {}
  const std::string name_;
};

TEST_P(ServiceManagerTest, HearsEachWord) {
  Ear ear(name_);
  const ServiceManager manager(name_);
  EXPECT_TRUE(manager.listens());
  manager.Ready("serving:\n2 clients");
  EXPECT_EQ(ear.Heard(), "READY=1\nSTATUS=serving: 2 clients");
  manager.Reloading();
  EXPECT_THAT(ear.Heard(),
              MatchesRegex("RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]*"));
  manager.Status("3 clients");
  EXPECT_EQ(ear.Heard(), "STATUS=3 clients");
  manager.Alive();
  EXPECT_EQ(ear.Heard(), "WATCHDOG=1");
  manager.Stopping("draining");
  EXPECT_EQ(ear.Heard(), "STOPPING=1\nSTATUS=draining");
  EXPECT_EQ(ear.Heard(), "");
}

INSTANTIATE_TEST_SUITE_P(PathAndAbstract, ServiceManagerTest,
                         ::testing::Values("/tmp/", "@"));

TEST(ServiceManagerEnvironmentTest, TellsWhoListensAndHowOften) {
  using std::chrono_literals::operator""s;
  setenv("NOTIFY_SOCKET", "/nowhere/notify", 1);
  setenv("WATCHDOG_USEC", "30000000", 1);
  ServiceManager manager = ServiceManager::FromEnvironment();
  EXPECT_TRUE(manager.listens());
  EXPECT_EQ(manager.alive_interval(), 15s);
  manager.Alive();  // nobody is there, and nothing happens

  setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
  EXPECT_EQ(ServiceManager::FromEnvironment().alive_interval(), 15s);
  setenv("WATCHDOG_PID", "1", 1);
  EXPECT_EQ(ServiceManager::FromEnvironment().alive_interval(), 0s);
  unsetenv("WATCHDOG_PID");
  setenv("WATCHDOG_USEC", "soon", 1);
  EXPECT_EQ(ServiceManager::FromEnvironment().alive_interval(), 0s);
  unsetenv("WATCHDOG_USEC");

  for (const std::string& other :
       {std::string("relative"), "/" + std::string(200, 'x')}) {
    setenv("NOTIFY_SOCKET", other.c_str(), 1);
    EXPECT_FALSE(ServiceManager::FromEnvironment().listens());
  }
  unsetenv("NOTIFY_SOCKET");
  EXPECT_FALSE(ServiceManager::FromEnvironment().listens());
}

}  // namespace
}  // namespace tlspost::io
