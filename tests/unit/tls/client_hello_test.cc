// ClientHellos as they come from the Internet: long, cut, empty, nonsense. None
// may do more than fail.

#include "common/tls/client_hello.h"

#include <gtest/gtest.h>
#include <openssl/err.h>

#include <random>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "tests/unit/tls/engine_pair.h"
#include "tests/unit/tls/raw_peer.h"

namespace tlspost::tls {
namespace {

constexpr size_t kLimit = TlsEngine::kMaxClientHelloOctets;

// A client whose ClientHello is filled up by a list of protocols (ALPN) that
// our server does not look at.
class LongClient {
 public:
  explicit LongClient(size_t filling) : peer_(TLS1_3_VERSION) {
    if (filling == 0) return;
    std::string list;
    while (list.size() < filling) {
      const size_t size = std::min<size_t>(filling - list.size() - 1, 200);
      list.push_back(static_cast<char>(size));
      list.append(size, 'p');
    }
    EXPECT_EQ(
        SSL_set_alpn_protos(peer_.ssl(),
                            reinterpret_cast<const unsigned char*>(list.data()),
                            static_cast<unsigned>(list.size())),
        0);
  }

  RawPeer& peer() { return peer_; }

  std::string Hello() {
    SSL_do_handshake(peer_.ssl());
    ERR_clear_error();
    return peer_.TakeWritten();
  }

 private:
  RawPeer peer_;
};

// How much filling makes a ClientHello of `octets`, record headers included.
size_t FillingFor(size_t octets) {
  // So much less that all of it, hybrid key shares too, is in one record.
  const size_t before = octets - 4000;
  return before + octets - LongClient(before).Hello().size();
}

TEST(ClientHello, MayBeAsLongAsTheLimit) {
  End server(ServerContext());
  LongClient client(FillingFor(kLimit));
  server.arrived = client.Hello();
  ASSERT_EQ(server.arrived.size(), kLimit);
  client.peer().PumpWith(server);
  EXPECT_TRUE(server.engine.established()) << server.engine.error();
}

TEST(ClientHello, MayNotBeAnOctetLonger) {
  End server(ServerContext());
  const std::string hello = LongClient(FillingFor(kLimit + 1)).Hello();
  ASSERT_EQ(hello.size(), kLimit + 1);
  server.arrived = hello;
  server.Feed(hello.size());
  EXPECT_EQ(server.Advance(), Step::kFailed);
  EXPECT_EQ(server.engine.failure(), TlsFailure::kOverLimit);
  EXPECT_EQ(MessageOf(server.engine.error()),
            "the client sent more handshake data than is allowed");
}

TEST(ClientHello, MayComeOneOctetAtATime) {
  End server(ServerContext());
  LongClient client(FillingFor(kLimit));
  const std::string hello = client.Hello();
  for (const char octet : hello) {
    EXPECT_FALSE(server.engine.has_output());
    server.arrived.push_back(octet);
    server.Feed(1);
    server.Advance();
  }
  client.peer().PumpWith(server);
  EXPECT_TRUE(server.engine.established()) << server.engine.error();
}

// The segment of STARTTLS had its first octets, and they were dropped with it.
TEST(ClientHello, E015OfWhichTheStartWasDroppedIsNone) {
  const std::string hello = LongClient(0).Hello();
  for (size_t size = 1; size < hello.size(); ++size) {
    SCOPED_TRACE(testing::Message() << "without the first " << size);
    TlsEngine engine(ServerContext());
    const std::string rest = hello.substr(size);
    engine.SetInput(rest);
    const Step step = engine.Handshake();
    EXPECT_TRUE(step == Step::kFailed || step == Step::kWantRead);
    EXPECT_FALSE(engine.established());
    // Nothing is answered but an alert.
    EXPECT_LT(engine.TakeOutput().size(), 16u);
  }
}

TEST(ClientHello, MayBeNonsense) {
  const auto context = ServerContext();
  std::mt19937 random(25);
  for (int round = 0; round < 3000; ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round);
    std::string octets(random() % 600, '\0');
    for (char& octet : octets) octet = static_cast<char>(random());
    // Half of them look like a record with a ClientHello.
    if (round % 2 == 0 && octets.size() > 9) {
      octets.replace(0, 5, std::string("\x16\x03\x01\x00\x7f", 5));
      octets.replace(5, 4, std::string("\x01\x00\x00\x7b", 4));
    }
    TlsEngine engine(context);
    engine.SetInput(octets);
    const Step step = engine.Handshake();
    EXPECT_TRUE(step == Step::kFailed || step == Step::kWantRead);
    EXPECT_EQ(engine.input_left(), 0u);
    EXPECT_EQ(engine.error().ok(), step == Step::kWantRead);
    EXPECT_EQ(ERR_peek_error(), 0u);
  }
}

// --- names as nobody should ask for them (RFC 6066 section 3) ---------------

void AddTo16(std::string& octets, size_t at, size_t difference) {
  const auto number = static_cast<uint8_t>(octets[at]) * size_t{256} +
                      static_cast<uint8_t>(octets[at + 1]) + difference;
  octets[at] = static_cast<char>(number >> 8);
  octets[at + 1] = static_cast<char>(number);
}

// A ClientHello whose server_name extension holds `list` as it is: libssl
// would send only what is right.
std::string HelloWithNames(const std::string& list) {
  const std::string name = "n";
  const std::string right("\0\4\0\0\1n", 6);
  LongClient client(0);
  EXPECT_EQ(SSL_set_tlsext_host_name(client.peer().ssl(), name.c_str()), 1);
  std::string hello = client.Hello();
  const size_t at = hello.find(right);
  EXPECT_NE(at, std::string::npos);
  hello.replace(at, right.size(), list);
  const size_t difference = list.size() - right.size();
  // Record, handshake message, extensions: each says how long it is.
  constexpr size_t kSessionId = 5 + 4 + 2 + 32;
  const size_t ciphers =
      kSessionId + 1 + static_cast<uint8_t>(hello[kSessionId]);
  const size_t compression =
      ciphers + 2 + static_cast<uint8_t>(hello[ciphers]) * size_t{256} +
      static_cast<uint8_t>(hello[ciphers + 1]);
  AddTo16(hello, 3, difference);
  AddTo16(hello, 7, difference);
  AddTo16(hello, compression + 2, difference);
  AddTo16(hello, at - 2, difference);
  return hello;
}

std::string NameList(size_t list_size, int type, size_t size,
                     const std::string& name) {
  const auto high = [](size_t number) {
    return static_cast<char>(number >> 8);
  };
  const auto low = [](size_t number) { return static_cast<char>(number); };
  return std::string{high(list_size), low(list_size), static_cast<char>(type),
                     high(size), low(size)} +
         name;
}

struct OddName {
  const char* what;
  std::string list;
  bool is_refused;  // by an alert; else the default certificate is served
};

std::vector<OddName> OddNames() {
  const std::string name = "mail.example";
  const size_t size = name.size();
  const std::string longest(255, 'l');
  return {
      {"as it should be", NameList(size + 3, 0, size, name), false},
      {"as long as a name may be", NameList(258, 0, 255, longest), false},
      {"an octet longer", NameList(259, 0, 256, longest + 'l'), true},
      {"NUL within",
       NameList(size + 3, 0, size, std::string("mail\0example", 12)), true},
      {"no name in the list", NameList(size + 3, 0, 0, name), true},
      {"shorter than it says", NameList(size + 3, 0, size + 1, name), true},
      {"a list longer than it is", NameList(size + 4, 0, size, name), true},
      {"a list shorter than it is", NameList(size + 2, 0, size, name), true},
      {"an unknown type", NameList(size + 3, 7, size, name), true},
      {"blanks and 8-bit", NameList(size + 3, 0, size, " ma\xc3\xa4l (xy) "),
       false},
  };
}

TEST(ClientHello, E025OddNamesAreRefusedByAnAlertOrGetTheDefault) {
  ServerTlsOptions options;
  options.policies.resize(1);
  options.policies[0].server_names = {"mail.example"};
  options.named_certificates.push_back(
      {"mail.example", {SourceOf(SharedIdentity(KeyKind::kP256))}});
  const auto context = ServerContext(options);
  for (const OddName& odd : OddNames()) {
    SCOPED_TRACE(odd.what);
    const std::string hello = HelloWithNames(odd.list);
    TlsEngine engine(context);
    engine.SetPolicyCandidates(1);
    engine.SetInput(hello);
    const Step step = engine.Handshake();
    EXPECT_EQ(step, odd.is_refused ? Step::kFailed : Step::kWantRead);
    EXPECT_EQ(engine.failure() == TlsFailure::kProtocolError, odd.is_refused);
    // One line for the log, and an alert (21) or a handshake record (22).
    EXPECT_EQ(MessageOf(engine.error()).find('\n'), std::string::npos);
    const std::string answer = engine.TakeOutput();
    ASSERT_FALSE(answer.empty());
    EXPECT_EQ(answer[0], odd.is_refused ? 21 : 22);
    EXPECT_EQ(ERR_peek_error(), 0u);
  }
}

// A ClientHello that is right but for some octets, behind its headers.
TEST(ClientHello, MayBeDamagedAnywhere) {
  ServerTlsOptions options;
  options.policies.resize(1);
  options.named_certificates.push_back(
      {"mail.example", {SourceOf(SharedIdentity(KeyKind::kP256))}});
  const auto context = ServerContext(options);
  LongClient client(0);
  SSL_set_tlsext_host_name(client.peer().ssl(), "mail.example");
  const std::string hello = client.Hello();
  for (size_t at = 0; at < hello.size(); ++at) {
    for (const int value : {0x00, 0x01, 0x7f, 0xff}) {
      SCOPED_TRACE(testing::Message() << value << " at " << at);
      std::string damaged = hello;
      damaged[at] = static_cast<char>(value);
      TlsEngine engine(context);
      engine.SetPolicyCandidates(1);
      engine.SetInput(damaged);
      const Step step = engine.Handshake();
      EXPECT_TRUE(step == Step::kFailed || step == Step::kWantRead);
      EXPECT_EQ(ERR_peek_error(), 0u);
    }
  }
}

}  // namespace
}  // namespace tlspost::tls
