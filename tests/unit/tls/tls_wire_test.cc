// The limits on what a peer may make us do.

#include "common/tls/tls_wire.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "common/base/status.h"
#include "tests/unit/tls/engine_pair.h"
#include "tests/unit/tls/raw_peer.h"

namespace tlspost::tls {
namespace {

// A record of the handshake type with `body` in it.
std::string HandshakeRecord(const std::string& body) {
  std::string record("\x16\x03\x01", 3);
  record.push_back(static_cast<char>(body.size() >> 8));
  record.push_back(static_cast<char>(body.size() & 0xff));
  return record + body;
}

TEST(TlsWire, RefusesAClientHelloWithoutEnd) {
  // It claims 100,000 octets, and keeps coming.
  std::string hello("\x01\x01\x86\xa0\x03\x03", 6);
  hello.resize(4096, 'x');
  TlsEngine engine(ServerContext());
  std::string input = HandshakeRecord(hello);
  Step step = Step::kWantRead;
  size_t sent = 0;
  while (step == Step::kWantRead && sent < 200000) {
    engine.SetInput(input);
    step = engine.Handshake();
    sent += input.size();
    input = HandshakeRecord(std::string(4096, 'x'));
  }
  EXPECT_EQ(step, Step::kFailed);
  EXPECT_LE(sent, TlsEngine::kMaxClientHelloOctets + input.size());
  EXPECT_EQ(engine.failure(), TlsFailure::kOverLimit);
  EXPECT_EQ(MessageOf(engine.error()),
            "the client sent more handshake data than is allowed");
}

TEST(TlsWire, E027RefusesRenegotiationAndStaysUsable) {
  End server(ServerContext());
  RawPeer client(TLS1_2_VERSION);
  client.PumpWith(server);
  ASSERT_TRUE(server.engine.established());
  ASSERT_EQ(SSL_renegotiate(client.ssl()), 1);
  SSL_do_handshake(client.ssl());
  const std::string hello = client.TakeWritten();
  ASSERT_FALSE(hello.empty());
  // Nothing but a warning goes back, and the session goes on.
  server.arrived = hello;
  server.Feed(hello.size());
  EXPECT_EQ(server.Advance(), Step::kWantRead);
  EXPECT_LT(server.engine.TakeOutput().size(), 64u);
  size_t taken = 0;
  EXPECT_EQ(server.engine.Write("250 ok\r\n", &taken), Step::kDone);
}

// A server can ask for renegotiation again and again; a client of OpenSSL
// gives up after the first refusal, so the limit is shown in this role.
TEST(TlsWire, E027EndsAFloodOfRenegotiations) {
  End client(ClientContext());
  RawPeer server(TLS1_2_VERSION, RawPeer::Role::kServer);
  client.Advance();
  server.PumpWith(client);
  ASSERT_TRUE(client.engine.established());
  uint64_t tries = 0;
  for (; tries < 1000 && client.last != Step::kFailed; ++tries) {
    ASSERT_EQ(SSL_renegotiate(server.ssl()), 1);
    SSL_do_handshake(server.ssl());
    client.arrived = server.TakeWritten();
    ASSERT_FALSE(client.arrived.empty());
    client.Feed(client.arrived.size());
    client.Advance();
  }
  EXPECT_EQ(client.last, Step::kFailed);
  EXPECT_EQ(client.engine.failure(), TlsFailure::kOverLimit);
  EXPECT_EQ(tries, TlsEngine::kMaxControlMessages + 2);
}

// Sends `count` KeyUpdates that ask for an answer, each with `data` behind it.
void FloodWithKeyUpdates(RawPeer& client, End& server, int count,
                         std::string_view data) {
  for (int i = 0; i < count && server.last != Step::kFailed; ++i) {
    ASSERT_EQ(SSL_key_update(client.ssl(), SSL_KEY_UPDATE_REQUESTED), 1);
    ASSERT_EQ(
        SSL_write(client.ssl(), data.data(), static_cast<int>(data.size())),
        static_cast<int>(data.size()));
    client.PumpWith(server);
  }
}

TEST(TlsWire, AnswersAFewKeyUpdates) {
  End server(ServerContext());
  RawPeer client(TLS1_3_VERSION);
  client.PumpWith(server);
  FloodWithKeyUpdates(client, server, TlsEngine::kMaxControlMessages, "x");
  EXPECT_EQ(server.last, Step::kWantRead);
  EXPECT_EQ(server.plaintext.size(), TlsEngine::kMaxControlMessages);
  size_t taken = 0;
  EXPECT_EQ(server.engine.Write("250 ok\r\n", &taken), Step::kDone);
  client.PumpWith(server);
  EXPECT_EQ(client.received, "250 ok\r\n");
}

TEST(TlsWire, E029EndsAFloodOfKeyUpdates) {
  End server(ServerContext());
  RawPeer client(TLS1_3_VERSION);
  client.PumpWith(server);
  FloodWithKeyUpdates(client, server, 1000, "x");
  EXPECT_EQ(server.last, Step::kFailed);
  EXPECT_LE(server.plaintext.size(), TlsEngine::kMaxControlMessages + 1);
  EXPECT_EQ(server.engine.failure(), TlsFailure::kOverLimit);
  EXPECT_EQ(MessageOf(server.engine.error()),
            "the client sent more key updates or renegotiations than is "
            "allowed");
}

TEST(TlsWire, AllowsKeyUpdatesInABulkTransfer) {
  End server(ServerContext());
  RawPeer client(TLS1_3_VERSION);
  client.PumpWith(server);
  server.read_capacity = 65536;
  const std::string part(TlsEngine::kOctetsPerControlMessage, 'x');
  const int count = TlsEngine::kMaxControlMessages + 4;
  FloodWithKeyUpdates(client, server, count, part);
  EXPECT_EQ(server.last, Step::kWantRead);
  EXPECT_EQ(server.plaintext.size(), part.size() * count);
}

}  // namespace
}  // namespace tlspost::tls
