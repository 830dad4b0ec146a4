// The order of a start, over real sockets.

#include "proxy/server.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <chrono>
#include <string>
#include <string_view>
#include <thread>

#include "common/base/status.h"
#include "common/io/descriptor.h"
#include "common/io/endpoint.h"
#include "common/io/listen_socket.h"
#include "common/io/unix_channel.h"
#include "common/tls/self_signed.h"
#include "tests/unit/proxy/no_log.h"
#include "tests/unit/tls/temporary_folder.h"

namespace tlspost {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

// Long enough for an answer that is not to come.
constexpr int kQuietMs = 500;
constexpr int kAnswerMs = 10'000;

// An address on loopback that nobody has.
std::string FreePort() {
  const io::Endpoint any = *io::Endpoint::FromIp("127.0.0.1", 0);
  const io::Descriptor socket(*io::OpenListenSocket(any, io::ListenOptions()));
  return io::BoundEndpoint(socket.get()).ToString();
}

bool HearsWithin(int socket, int timeout_ms) {
  pollfd wait = {.fd = socket, .events = POLLIN, .revents = 0};
  return poll(&wait, 1, timeout_ms) > 0;
}

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() {
    settings_.hostname = "mx.test";
    settings_.listen = {"127.0.0.1:0"};
    settings_.backend = {"127.0.0.1:1"};
    settings_.backend_warm_spares = 0;
    settings_.io_engine = IoEngine::kEpoll;
    settings_.workers = 1;
    settings_.max_connections = 10;
    settings_.control_socket = folder_.Path("control");
  }

  std::string Reload() {
    auto channel = io::UnixChannel::Connect(settings_.control_socket);
    if (!channel.ok() || !channel->Write("reload\n").ok()) return "nobody";
    const auto answer = channel->ReadLine(10s);
    return std::string(answer.ok() ? *answer : MessageOf(answer.status()));
  }

  tls::TemporaryFolder folder_;
  Settings settings_;
  NoLog log_;
};

// An end that waits for a reload which never begins would last for ever.
TEST_F(ServerTest, AReloadDuringAStartThatFailsIsAnswered) {
  Server server(settings_, log_);
  std::string answer;
  server.set_on_bound([&] {
    answer = Reload();
    return absl::InternalError("no walls");
  });
  EXPECT_EQ(MessageOf(server.Start()), "no walls");
  EXPECT_EQ(answer, "failed still starting");
}

// Somebody who could take over the thread that answers would be before the
// walls.
TEST_F(ServerTest, TheAdministratorIsAnsweredBehindTheWalls) {
  settings_.admin_listen = FreePort();
  const io::Endpoint endpoint =
      io::ResolveEndpoints(settings_.admin_listen)->front();
  Server server(settings_, log_);
  const io::Descriptor peer(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  server.set_on_bound([&] {
    sockaddr_storage address;
    const socklen_t length = endpoint.ToSockaddr(address);
    EXPECT_EQ(
        connect(peer.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
    // Where there is nothing to find out first.
    constexpr std::string_view kRequest = "GET /nothing HTTP/1.0\r\n\r\n";
    EXPECT_EQ(send(peer.get(), kRequest.data(), kRequest.size(), 0),
              static_cast<ssize_t>(kRequest.size()));
    EXPECT_FALSE(HearsWithin(peer.get(), kQuietMs));
    return absl::OkStatus();
  });
  const absl::Status started = server.Start();
  EXPECT_TRUE(started.ok()) << started;
  EXPECT_TRUE(HearsWithin(peer.get(), kAnswerMs));
  server.Terminate();
  EXPECT_TRUE(server.Wait());
}

TEST_F(ServerTest, ACertificateThatIsRenewedDuringTheStartIsLoaded) {
  const auto renew = [&] {
    const tls::SelfSigned made = tls::GenerateSelfSigned("mx.test");
    return folder_.Write("pair.pem", made.key_pem + made.cert_pem);
  };
  settings_.tls_cert_file = settings_.tls_key_file = renew();
  Server server(settings_, log_);
  server.set_on_bound([&] {
    renew();
    return absl::OkStatus();
  });
  const absl::Status started = server.Start();
  EXPECT_TRUE(started.ok()) << started;
  const auto end = std::chrono::steady_clock::now() + 10s;
  while (server.reloads_ended() == 0 &&
         std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(5ms);
  }
  server.Terminate();
  EXPECT_TRUE(server.Wait());
  EXPECT_EQ(server.TotalCounters().tls_reloads, 1);
}

// Rings and listening sockets count, too.
TEST_F(ServerTest, TheSoftLimitOfOpenFilesIsRaisedFirst) {
  rlimit before = {};
  getrlimit(RLIMIT_NOFILE, &before);
  const rlimit low = {.rlim_cur = 32, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  settings_.listen.assign(40, "127.0.0.1:0");
  {
    Server server(settings_, log_);
    const absl::Status started = server.Start();
    EXPECT_TRUE(started.ok()) << started;
    server.Terminate();
    EXPECT_TRUE(server.Wait());
  }
  setrlimit(RLIMIT_NOFILE, &before);
}

}  // namespace
}  // namespace tlspost
