// Two engines in memory, their bytes cut at every place there is.

#include "common/tls/tls_engine.h"

#include <gtest/gtest.h>
#include <openssl/err.h>

#include <string>

#include "common/base/status.h"
#include "tests/unit/tls/engine_pair.h"

namespace tlspost::tls {
namespace {

std::shared_ptr<TlsContext> ClientOf(TlsVersion version) {
  ClientTlsOptions options;
  options.min_version = version;
  options.max_version = version;
  return ClientContext(options);
}

std::string Pattern(size_t size) {
  std::string text(size, '\0');
  uint32_t state = 12345;
  for (char& octet : text) {
    state = state * 1664525 + 1013904223;
    octet = static_cast<char>(state >> 24);
  }
  return text;
}

class TlsEngineVersions : public testing::TestWithParam<TlsVersion> {
 protected:
  static void SetUpTestSuite() { server_ = ServerContext(); }
  static void TearDownTestSuite() { server_.reset(); }
  static std::shared_ptr<TlsContext> server_;

  const std::shared_ptr<TlsContext> client_ = ClientOf(GetParam());
};
std::shared_ptr<TlsContext> TlsEngineVersions::server_;

INSTANTIATE_TEST_SUITE_P(Tls, TlsEngineVersions,
                         testing::Values(TlsVersion::kTls12,
                                         TlsVersion::kTls13),
                         [](const auto& info) {
                           return info.param == TlsVersion::kTls12 ? "Tls12"
                                                                   : "Tls13";
                         });

// Both directions, after a handshake.
void ExpectWorks(EnginePair& pair) {
  EXPECT_TRUE(Send(pair, pair.client, "EHLO a.example\r\n"));
  EXPECT_TRUE(Send(pair, pair.server, "250 mx.example\r\n"));
  EXPECT_EQ(pair.server.plaintext, "EHLO a.example\r\n");
  EXPECT_EQ(pair.client.plaintext, "250 mx.example\r\n");
}

TEST_P(TlsEngineVersions, ShakesHandsAndTalks) {
  EnginePair pair(client_, server_);
  ASSERT_TRUE(pair.Connect());
  ExpectWorks(pair);
  EXPECT_TRUE(pair.server.engine.error().ok());
  EXPECT_EQ(pair.server.engine.failure(), TlsFailure::kNone);
}

TEST_P(TlsEngineVersions, ShakesHandsWhereverTheBytesAreCut) {
  EnginePair whole(client_, server_);
  ASSERT_TRUE(whole.Connect());
  for (size_t cut = 1; cut < whole.client_sent; ++cut) {
    SCOPED_TRACE(testing::Message() << "cut the client's bytes at " << cut);
    EnginePair pair(client_, server_);
    pair.cut_client_at = cut;
    ASSERT_TRUE(pair.Connect());
  }
  for (size_t cut = 1; cut < whole.server_sent; ++cut) {
    SCOPED_TRACE(testing::Message() << "cut the server's bytes at " << cut);
    EnginePair pair(client_, server_);
    pair.cut_server_at = cut;
    ASSERT_TRUE(pair.Connect());
  }
}

TEST_P(TlsEngineVersions, ShakesHandsOneOctetAtATime) {
  EnginePair pair(client_, server_);
  ASSERT_TRUE(pair.Connect(1));
  ExpectWorks(pair);
}

TEST_P(TlsEngineVersions, MovesLargeAmountsBothWaysHoweverCut) {
  const std::string text = Pattern(300000);
  const size_t cuts[] = {1, 7, 1000, 4096, 16384, 100000};
  const size_t capacities[] = {16384, 1, 100, 4096, 33, 65536};
  for (size_t i = 0; i < std::size(cuts); ++i) {
    SCOPED_TRACE(testing::Message()
                 << "pieces of " << cuts[i] << ", read by " << capacities[i]);
    // An octet at a time is slow; a tenth of the text shows as much.
    const std::string_view part =
        std::string_view(text).substr(0, i < 2 ? 30000 : text.size());
    EnginePair pair(client_, server_);
    ASSERT_TRUE(pair.Connect());
    for (End* from : {&pair.client, &pair.server}) {
      End& to = from == &pair.client ? pair.server : pair.client;
      to.read_capacity = capacities[i];
      std::string_view rest = part;
      while (!rest.empty()) {
        size_t taken = 0;
        const Step step = from->engine.Write(rest, &taken);
        ASSERT_TRUE(step == Step::kDone || step == Step::kWantWrite);
        rest.remove_prefix(taken);
        pair.Pump(cuts[i]);
      }
      ASSERT_EQ(to.plaintext, part);
    }
  }
}

TEST_P(TlsEngineVersions, E031TellsACleanEndFromATruncatedOne) {
  EnginePair clean(client_, server_);
  ASSERT_TRUE(clean.Connect());
  ASSERT_TRUE(Send(clean, clean.client, "QUIT\r\n"));
  clean.client.engine.Shutdown();
  clean.Pump();
  EXPECT_EQ(clean.server.last, Step::kClosed);
  EXPECT_EQ(clean.server.plaintext, "QUIT\r\n");
  clean.server.engine.SetEof();
  EXPECT_EQ(clean.server.Advance(), Step::kClosed);
  EXPECT_TRUE(clean.server.engine.error().ok());

  EnginePair cut(client_, server_);
  ASSERT_TRUE(cut.Connect());
  ASSERT_TRUE(Send(cut, cut.client, "half a mess"));
  cut.server.engine.SetEof();
  EXPECT_EQ(cut.server.Advance(), Step::kTruncated);
  EXPECT_EQ(cut.server.Advance(), Step::kTruncated);
  EXPECT_EQ(cut.server.plaintext, "half a mess");
  EXPECT_TRUE(cut.server.engine.error().ok());
}

TEST_P(TlsEngineVersions, E031IsTruncatedInTheMiddleOfARecordAtAnyOctet) {
  EnginePair pair(client_, server_);
  ASSERT_TRUE(pair.Connect());
  size_t taken = 0;
  ASSERT_EQ(pair.client.engine.Write("MAIL FROM:<>\r\n", &taken), Step::kDone);
  const size_t record = pair.client.engine.TakeOutput().size();
  for (size_t size = 0; size < record; ++size) {
    EnginePair cut(client_, server_);
    ASSERT_TRUE(cut.Connect());
    ASSERT_EQ(cut.client.engine.Write("MAIL FROM:<>\r\n", &taken), Step::kDone);
    cut.server.arrived = cut.client.engine.TakeOutput().substr(0, size);
    cut.server.Feed(size);
    cut.server.engine.SetEof();
    EXPECT_EQ(cut.server.Advance(), Step::kTruncated);
    EXPECT_EQ(cut.server.plaintext, "");
  }
}

TEST_P(TlsEngineVersions, E030ReadsNothingThatComesBehindCloseNotify) {
  EnginePair pair(client_, server_);
  ASSERT_TRUE(pair.Connect());
  ASSERT_TRUE(Send(pair, pair.client, "QUIT\r\n"));
  pair.client.engine.Shutdown();
  const std::string late("\x17\x03\x03\x00\x20 and then 32 octets that mean it",
                         37);
  pair.server.arrived = pair.client.engine.TakeOutput() + late;
  pair.server.Feed(pair.server.arrived.size());
  EXPECT_EQ(pair.server.Advance(), Step::kClosed);
  EXPECT_EQ(pair.server.plaintext, "QUIT\r\n");
  pair.server.engine.SetInput(late);
  EXPECT_EQ(pair.server.Advance(), Step::kClosed);
  EXPECT_TRUE(pair.server.engine.error().ok());
  // What it has to say goes out all the same.
  size_t taken = 0;
  EXPECT_EQ(pair.server.engine.Write("221 bye\r\n", &taken), Step::kDone);
  pair.client.arrived = pair.server.engine.TakeOutput();
  pair.client.Feed(pair.client.arrived.size());
  pair.client.Advance();
  EXPECT_EQ(pair.client.plaintext, "221 bye\r\n");
}

TEST_P(TlsEngineVersions, E032AnEndWithoutCloseNotifyIsNoFailure) {
  EnginePair pair(client_, server_);
  ASSERT_TRUE(pair.Connect());
  ASSERT_TRUE(Send(pair, pair.client, "QUIT\r\n"));
  pair.server.engine.SetEof();
  EXPECT_EQ(pair.server.Advance(), Step::kTruncated);
  EXPECT_EQ(pair.server.plaintext, "QUIT\r\n");
  EXPECT_TRUE(pair.server.engine.error().ok());
  EXPECT_EQ(pair.server.engine.failure(), TlsFailure::kNone);
  EXPECT_EQ(pair.server.engine.library_error(), "");
  size_t taken = 0;
  EXPECT_EQ(pair.server.engine.Write("221 bye\r\n", &taken), Step::kDone);
}

TEST_P(TlsEngineVersions, StillAnswersAPeerThatHasEndedItsSide) {
  EnginePair pair(client_, server_);
  ASSERT_TRUE(pair.Connect());
  pair.client.engine.Shutdown();
  pair.Pump();
  ASSERT_EQ(pair.server.last, Step::kClosed);
  EXPECT_TRUE(Send(pair, pair.server, "221 bye\r\n"));
  pair.server.engine.Shutdown();
  pair.Pump();
  EXPECT_EQ(pair.client.plaintext, "221 bye\r\n");
  EXPECT_EQ(pair.client.last, Step::kClosed);
}

TEST_P(TlsEngineVersions, RefusesToWriteAfterShutdownWhichHappensOnce) {
  EnginePair pair(client_, server_);
  ASSERT_TRUE(pair.Connect());
  pair.server.engine.Shutdown();
  EXPECT_FALSE(pair.server.engine.TakeOutput().empty());
  pair.server.engine.Shutdown();
  EXPECT_FALSE(pair.server.engine.has_output());
  size_t taken = 0;
  EXPECT_EQ(pair.server.engine.Write("x", &taken), Step::kClosed);
  EXPECT_EQ(taken, 0u);
}

TEST_P(TlsEngineVersions, FailsOnARecordThatWasChanged) {
  EnginePair pair(client_, server_);
  ASSERT_TRUE(pair.Connect());
  size_t taken = 0;
  ASSERT_EQ(pair.client.engine.Write("first", &taken), Step::kDone);
  ASSERT_EQ(pair.client.engine.Write("second", &taken), Step::kDone);
  std::string bytes = pair.client.engine.TakeOutput();
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  pair.server.arrived = bytes;
  pair.server.Feed(bytes.size());
  // What came before the damage is given out, then the failure, and again.
  EXPECT_EQ(pair.server.Advance(), Step::kFailed);
  EXPECT_EQ(pair.server.plaintext, "first");
  EXPECT_EQ(pair.server.Advance(), Step::kFailed);
  EXPECT_EQ(pair.server.engine.failure(), TlsFailure::kProtocolError);
  EXPECT_EQ(MessageOf(pair.server.engine.error()),
            "TLS with the client failed: decryption failed or bad record mac");
  EXPECT_EQ(pair.server.engine.Write("x", &taken), Step::kFailed);
  // The alert that tells the peer is there to be sent.
  pair.Pump();
  EXPECT_EQ(pair.client.engine.failure(), TlsFailure::kPeerAlert);
  EXPECT_EQ(MessageOf(pair.client.engine.error()),
            "the server ended the connection with TLS alert 20 (bad record "
            "mac)");
}

TEST_P(TlsEngineVersions, E022LosesTheConnectionAtAnyOctetOfTheHandshake) {
  EnginePair whole(client_, server_);
  whole.Pump();
  for (size_t size = 0; size < whole.client_sent; ++size) {
    SCOPED_TRACE(testing::Message() << "lost after " << size);
    EnginePair pair(client_, server_);
    pair.cut_client_at = size;
    // Up to the cut, then nothing.
    size_t moved = 0;
    bool silent = false;
    while (moved < size && !silent) {
      pair.client.Advance();
      pair.server.arrived += pair.client.engine.TakeOutput();
      const size_t part = std::min(size - moved, pair.server.arrived.size());
      silent = part == 0;
      pair.server.Feed(part);
      moved += part;
      pair.server.Advance();
      pair.client.arrived += pair.server.engine.TakeOutput();
      pair.client.Feed(pair.client.arrived.size());
    }
    pair.server.engine.SetEof();
    if (pair.server.engine.established()) continue;
    EXPECT_EQ(pair.server.Advance(), Step::kFailed);
    EXPECT_EQ(pair.server.engine.failure(), TlsFailure::kLostConnection);
    EXPECT_EQ(MessageOf(pair.server.engine.error()),
              "lost the connection to the client during the handshake");
    EXPECT_EQ(ERR_peek_error(), 0u);
  }
}

TEST_P(TlsEngineVersions, TakesNoMoreThanItsOutputMayHold) {
  EnginePair pair(client_, server_);
  ASSERT_TRUE(pair.Connect());
  const std::string text = Pattern(500000);
  size_t taken = 0;
  EXPECT_EQ(pair.server.engine.Write(text, &taken), Step::kWantWrite);
  EXPECT_LT(taken, TlsEngine::kMaxPendingOutput + 4096);
  size_t none = 0;
  EXPECT_EQ(pair.server.engine.Write("x", &none), Step::kWantWrite);
  EXPECT_EQ(none, 0u);
  const std::string output = pair.server.engine.TakeOutput();
  EXPECT_GE(output.size(), TlsEngine::kMaxPendingOutput);
  EXPECT_LE(output.size(), TlsEngine::kMaxPendingOutput + 4096 + 512);
  // Other bytes than those that were refused may follow.
  pair.client.arrived = output;
  EXPECT_EQ(pair.server.engine.Write("end", &none), Step::kDone);
  pair.Pump();
  EXPECT_EQ(pair.client.plaintext, text.substr(0, taken) + "end");
}

TEST_P(TlsEngineVersions, HoldsNoOutputWhenItWasTaken) {
  EnginePair pair(client_, server_);
  ASSERT_TRUE(pair.Connect());
  EXPECT_FALSE(pair.server.engine.has_output());
  EXPECT_EQ(pair.server.engine.TakeOutput(), "");
}

TEST_P(TlsEngineVersions, KeepsTalkingWithItsBuffersKept) {
  EnginePair pair(client_, server_);
  ASSERT_TRUE(pair.Connect());
  pair.server.engine.ReleaseBuffersWhileIdle(false);
  ASSERT_TRUE(Send(pair, pair.client, Pattern(100000)));
  pair.server.engine.ReleaseBuffersWhileIdle(true);
  ASSERT_TRUE(Send(pair, pair.client, "x"));
  EXPECT_EQ(pair.server.plaintext, Pattern(100000) + "x");
}

TEST(TlsEngine, IsSmallUntilTheFirstOctet) {
  static_assert(sizeof(TlsEngine) <= 64);
  TlsEngine engine(ServerContext());
  EXPECT_EQ(engine.Handshake(), Step::kWantRead);
  EXPECT_FALSE(engine.has_output());
  EXPECT_FALSE(engine.established());
  EXPECT_EQ(engine.failure(), TlsFailure::kNone);
  engine.Shutdown();
  engine.SetEof();
  EXPECT_EQ(engine.Handshake(), Step::kFailed);
  EXPECT_EQ(engine.failure(), TlsFailure::kLostConnection);
}

TEST(TlsEngine, KeepsItsContextAliveThroughAReload) {
  auto context = ServerContext();
  EnginePair pair(ClientContext(), context);
  ASSERT_TRUE(pair.Connect());
  context.reset();
  ExpectWorks(pair);
}

TEST(TlsEngine, SaysInWordsThatTheClientSentPlaintext) {
  for (const std::string_view text :
       {"EHLO a.example\r\n", "GET / HTTP/1.1\r\n", "QUIT\r\n"}) {
    TlsEngine engine(ServerContext());
    engine.SetInput(text);
    EXPECT_EQ(engine.Handshake(), Step::kFailed);
    EXPECT_EQ(engine.failure(), TlsFailure::kPlaintext);
    EXPECT_EQ(MessageOf(engine.error()),
              "the client sent plaintext where the TLS handshake was due");
    EXPECT_EQ(engine.input_left(), 0u);
    EXPECT_EQ(ERR_peek_error(), 0u);
  }
  TlsEngine engine(ServerContext());
  engine.SetInput("EHLO a.example\r\n");
  EXPECT_EQ(engine.Handshake(), Step::kFailed);
  EXPECT_EQ(engine.library_error().substr(0, 50),
            "error:0A00010B:SSL routines::wrong version number:");
}

TEST(TlsEngine, SaysInWordsThatTheServerSentPlaintext) {
  TlsEngine engine(ClientContext());
  EXPECT_EQ(engine.Handshake(), Step::kWantRead);
  engine.SetInput("220 mx.example ESMTP\r\n");
  EXPECT_EQ(engine.Handshake(), Step::kFailed);
  EXPECT_EQ(engine.failure(), TlsFailure::kPlaintext);
  EXPECT_EQ(MessageOf(engine.error()),
            "the server sent plaintext where the TLS handshake was due");
}

TEST(TlsEngine, E023RefusesAClientThatIsTooOldAndNamesItsVersion) {
  ClientTlsOptions options;
  options.min_version = TlsVersion::kTls10;
  options.max_version = TlsVersion::kTls11;
  options.ciphers = "ALL:@SECLEVEL=0";
  EnginePair pair(ClientContext(options), ServerContext());
  EXPECT_FALSE(pair.Connect());
  EXPECT_EQ(pair.server.engine.failure(), TlsFailure::kUnsupportedProtocol);
  EXPECT_EQ(MessageOf(pair.server.engine.error()),
            "the client offers nothing newer than TLSv1.1, and TLSv1.2 is "
            "required");
  EXPECT_EQ(MessageOf(pair.client.engine.error()),
            "the server ended the connection with TLS alert 70 (protocol "
            "version): it has no TLS version in common with us");
}

TEST(TlsEngine, NamesTheVersionsAPickyServerCannotShare) {
  ServerTlsOptions options;
  options.policy.min_version = TlsVersion::kTls13;
  EnginePair pair(ClientOf(TlsVersion::kTls12), ServerContext(options));
  EXPECT_FALSE(pair.Connect());
  EXPECT_EQ(MessageOf(pair.server.engine.error()),
            "the client offers nothing newer than TLSv1.2, and TLSv1.3 is "
            "required");
}

TEST(TlsEngine, E024SaysWhatAClientWithoutACommonCipherOffered) {
  ClientTlsOptions options;
  options.max_version = TlsVersion::kTls12;
  options.ciphers = "ECDHE-RSA-AES128-GCM-SHA256";
  options.groups = "P-256";
  EnginePair pair(ClientContext(options), ServerContext());
  EXPECT_FALSE(pair.Connect());
  EXPECT_EQ(pair.server.engine.failure(), TlsFailure::kNothingShared);
  EXPECT_EQ(
      MessageOf(pair.server.engine.error()),
      "the client and we have too little in common (no shared cipher); it "
      "offered ciphers ECDHE-RSA-AES128-GCM-SHA256 and groups secp256r1");
  EXPECT_EQ(MessageOf(pair.client.engine.error()),
            "the server ended the connection with TLS alert 40 (handshake "
            "failure): it has no cipher or group in common with us");
}

TEST(TlsEngine, E024SaysWhatAClientWithoutACommonGroupOffered) {
  ClientTlsOptions options;
  options.groups = "P-521";
  EnginePair pair(ClientContext(options), ServerContext());
  EXPECT_FALSE(pair.Connect());
  EXPECT_EQ(pair.server.engine.failure(), TlsFailure::kNothingShared);
  EXPECT_NE(MessageOf(pair.server.engine.error()).find("groups secp521r1"),
            std::string_view::npos)
      << pair.server.engine.error();
}

TEST(TlsEngine, AnOrderlyEndIsNoAlert) {
  for (const TlsVersion version : {TlsVersion::kTls12, TlsVersion::kTls13}) {
    EnginePair pair(ClientContext(Only(version)), ServerContext());
    ASSERT_TRUE(pair.Connect());
    EXPECT_EQ(pair.server.engine.version(),
              version == TlsVersion::kTls12 ? 0x0303 : 0x0304);
    pair.client.engine.Shutdown();
    pair.Pump();
    EXPECT_EQ(pair.server.last, Step::kClosed);
    EXPECT_EQ(pair.server.engine.alert_received(), -1);
    EXPECT_EQ(pair.client.engine.alert_sent(), -1);
  }
}

TEST(TlsEngine, SaysThatTheClientDoesNotAcceptTheCertificate) {
  ClientTlsOptions options;
  options.verify = true;
  options.ca_pem = SharedIdentity(KeyKind::kRsa2048).cert_pem;
  EnginePair pair(ClientContext(options), ServerContext());
  pair.client.engine.SetServerName("mail.example");
  EXPECT_FALSE(pair.Connect());
  EXPECT_EQ(pair.client.engine.failure(), TlsFailure::kUntrustedPeer);
  EXPECT_EQ(MessageOf(pair.client.engine.error()).substr(0, 50),
            "the certificate of the server does not verify: sel");
  EXPECT_EQ(pair.server.engine.failure(), TlsFailure::kPeerAlert);
  constexpr int kUnknownCa = 48;
  EXPECT_EQ(pair.server.engine.alert_received(), kUnknownCa);
  EXPECT_EQ(pair.server.engine.alert_sent(), -1);
  EXPECT_EQ(pair.client.engine.alert_sent(), kUnknownCa);
  EXPECT_NE(MessageOf(pair.server.engine.error())
                .find("it does not accept our certificate"),
            std::string_view::npos)
      << pair.server.engine.error();
}

TEST(TlsEngine, LeavesNoErrorBehindForTheNextConnectionOfTheThread) {
  const auto server = ServerContext();
  const auto client = ClientContext();
  for (int i = 0; i < 3; ++i) {
    TlsEngine broken(server);
    broken.SetInput("EHLO a.example\r\n");
    EXPECT_EQ(broken.Handshake(), Step::kFailed);
    EXPECT_EQ(ERR_peek_error(), 0u);
    EnginePair pair(client, server);
    // And what others left behind is not taken for ours.
    ERR_raise(ERR_LIB_USER, 1);
    ASSERT_TRUE(pair.Connect());
    ExpectWorks(pair);
  }
}

}  // namespace
}  // namespace tlspost::tls
