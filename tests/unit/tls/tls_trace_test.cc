// The words are Postfix's, and the octets are those of the wire.

#include "common/tls/tls_trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/unit/tls/engine_pair.h"

namespace tlspost::tls {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

class Recorder : public TlsTrace {
 public:
  void State(std::string_view state) override { states.emplace_back(state); }
  void Wire(bool sent_by_us, std::string_view octets) override {
    (sent_by_us ? sent : received) += octets;
  }

  std::vector<std::string> states;
  std::string sent;
  std::string received;
};

// The engine owns its trace; what it told is looked at here.
class Forwarder final : public TlsTrace {
 public:
  explicit Forwarder(Recorder& recorder) : recorder_(recorder) {}
  void State(std::string_view state) override { recorder_.State(state); }
  void Wire(bool sent, std::string_view octets) override {
    recorder_.Wire(sent, octets);
  }

 private:
  Recorder& recorder_;
};

std::unique_ptr<TlsTrace> TraceTo(Recorder& recorder) {
  return std::make_unique<Forwarder>(recorder);
}

TEST(TlsTrace, TellsTheStepsOfAHandshake) {
  Recorder server;
  Recorder client;
  EnginePair pair(ClientContext(), ServerContext());
  pair.server.engine.SetTrace(TraceTo(server));
  pair.client.engine.SetTrace(TraceTo(client));
  ASSERT_TRUE(pair.Connect());
  ASSERT_FALSE(server.states.empty());
  EXPECT_EQ(server.states.front(), "SSL_accept:before SSL initialization");
  EXPECT_THAT(server.states,
              Contains("SSL_accept:SSLv3/TLS read client hello"));
  EXPECT_THAT(server.states,
              Contains("Issuing session ticket, session lifetime: 3600"));
  EXPECT_THAT(client.states,
              Contains("SSL_connect:SSLv3/TLS write client hello"));
  EXPECT_THAT(server.states, Not(Contains(HasSubstr("error"))));
  EXPECT_THAT(client.states, Not(Contains(HasSubstr("error"))));
  EXPECT_EQ(server.received.size(), pair.client_sent);
  EXPECT_EQ(server.sent.size(), pair.server_sent);
  EXPECT_EQ(server.sent, client.received);
  EXPECT_EQ(server.received, client.sent);
  pair.client.engine.Shutdown();
  pair.Pump();
  EXPECT_THAT(server.states, Not(Contains(HasSubstr("alert"))));
}

TEST(TlsTrace, TellsAlerts) {
  Recorder server;
  Recorder client;
  ClientTlsOptions options;
  options.max_version = TlsVersion::kTls12;
  options.ciphers = "ECDHE-RSA-AES128-GCM-SHA256";
  EnginePair pair(ClientContext(options), ServerContext());
  pair.server.engine.SetTrace(TraceTo(server));
  pair.client.engine.SetTrace(TraceTo(client));
  EXPECT_FALSE(pair.Connect());
  EXPECT_THAT(server.states,
              Contains("SSL3 alert write:fatal:handshake failure"));
  EXPECT_EQ(server.states.back(), "SSL_accept:error in error");
  EXPECT_THAT(client.states,
              Contains("SSL3 alert read:fatal:handshake failure"));
}

TEST(TlsTrace, TellsWhatBecomesOfATicket) {
  ServerTlsOptions options;
  options.ticket_keys = TicketKeys::Random();
  options.session_lifetime = std::chrono::minutes(2);
  const auto server = ServerContext(options);
  const auto client = ClientContext();
  for (const bool known : {true, false}) {
    EnginePair first(client, server);
    ASSERT_TRUE(first.Connect());
    const auto session = first.client.engine.TakeSession();
    ASSERT_NE(session, nullptr);
    if (!known) {
      options.ticket_keys->Rotate();
      options.ticket_keys->Rotate();
    }
    Recorder recorder;
    EnginePair pair(client, server);
    pair.client.engine.SetSession(*session);
    pair.server.engine.SetTrace(TraceTo(recorder));
    ASSERT_TRUE(pair.Connect());
    EXPECT_THAT(recorder.states,
                Contains(known ? "Decrypting session ticket"
                               : "Session ticket has an unknown key"));
    // One that was opened with the newest key needs no successor.
    const std::string issued = "Issuing session ticket, session lifetime: 120";
    if (known) continue;
    EXPECT_THAT(recorder.states, Contains(issued));
  }
}

TEST(TlsTrace, EndsWhenItIsTakenAway) {
  Recorder recorder;
  EnginePair pair(ClientContext(), ServerContext());
  pair.server.engine.SetTrace(TraceTo(recorder));
  ASSERT_TRUE(pair.Connect());
  pair.server.engine.SetTrace(nullptr);
  recorder = Recorder();
  ASSERT_TRUE(Send(pair, pair.client, "NOOP\r\n"));
  EXPECT_TRUE(recorder.states.empty());
  EXPECT_EQ(recorder.received, "");
  pair.server.engine.SetTrace(TraceTo(recorder));
  ASSERT_TRUE(Send(pair, pair.client, "NOOP\r\n"));
  EXPECT_NE(recorder.received, "");
}

}  // namespace
}  // namespace tlspost::tls
