// What is found out about a backend, over the simulated network: the sink plays
// the backend, as a good one or a bad one. Real servers are the end-to-end
// tests'.

#include "proxy/check/backend_probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/io/task_group.h"
#include "proxy/demo/sink_mta.h"
#include "tests/sim/sim_loop.h"

namespace tlspost {
namespace {

using std::chrono_literals::operator""min;
using std::chrono_literals::operator""s;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

testing::Matcher<Finding> Is(Verdict verdict, const std::string& text) {
  return AllOf(Field("verdict", &Finding::verdict, verdict),
               Field("text", &Finding::text, HasSubstr(text)));
}

class BackendProbeTest : public testing::Test {
 protected:
  BackendProbeTest() { settings_.hostname = "mx.test"; }

  // A server that relays for nobody, knows postmaster, and takes no message
  // that goes round in a circle.
  static std::optional<SinkMta::Misdeed> BeGood(const SinkMta::Event& event) {
    const bool is_foreign = event.verb == "RCPT" &&
                            event.line.find("relay-test") != event.line.npos;
    SinkMta::Misdeed misdeed;
    if (is_foreign) misdeed.reply = "554 5.7.1 Relay access denied\r\n";
    if (event.verb == ".") misdeed.reply = "554 5.4.0 too many hops\r\n";
    if (misdeed.reply.empty()) return std::nullopt;
    return misdeed;
  }

  std::vector<Finding> Probe(SinkMta::Options sink_options,
                             ProbeOptions probe_options = {}) {
    sim::SimLoop loop(1);
    SinkMta sink(loop, std::move(sink_options));
    EXPECT_TRUE(sink.Listen(address_).ok());
    sink.set_on_message([this](const SinkMta::Message&) { ++delivered_; });
    sink.set_mischief([this](const SinkMta::Event& event) {
      verbs_.emplace_back(event.verb);
      return mischief_(event);
    });
    loop.set_refused(address_, is_down_);
    BackendProbe probe(loop, settings_, {"backend.test:25", address_},
                       std::move(probe_options));
    io::TaskGroup tasks(loop);
    const io::Time begun = loop.Now();
    tasks.Spawn(probe.Run());
    EXPECT_TRUE(loop.RunUntil([&] { return tasks.size() == 0; }, 10min));
    took_ = loop.Now() - begun;
    connections_ = sink.connections();
    sink.Stop();
    EXPECT_TRUE(loop.RunUntil(
        [&] { return sink.stopped() && loop.open_streams() == 0; }, 1min));
    return probe.findings();
  }

  const io::Endpoint address_ = *io::Endpoint::FromIp("192.0.2.9", 25);
  Settings settings_;
  std::function<std::optional<SinkMta::Misdeed>(const SinkMta::Event&)>
      mischief_ = BeGood;
  bool is_down_ = false;
  int delivered_ = 0;
  int connections_ = 0;
  io::Duration took_{};
  std::vector<std::string> verbs_;
};

TEST_F(BackendProbeTest, AGoodBackendIsGood) {
  const auto findings = Probe({});
  EXPECT_THAT(findings, Contains(Is(Verdict::kOk, "220 sink.example ESMTP")));
  EXPECT_THAT(findings, Contains(Is(Verdict::kOk, "8BITMIME")));
  EXPECT_THAT(findings, Contains(Is(Verdict::kOk, "again and again")));
  EXPECT_THAT(findings, Contains(Is(Verdict::kOk,
                                    "does not relay for a client "
                                    "192.0.2.1: 554 5.7.1 Relay access")));
  EXPECT_THAT(findings, Contains(Is(Verdict::kOk, "pipelined")));
  EXPECT_THAT(findings, Contains(Is(Verdict::kOk, "bears 8 errors")));
  EXPECT_THAT(findings, Contains(Is(Verdict::kOk, "bears 32 commands")));
  EXPECT_THAT(
      findings,
      Not(Contains(Field("verdict", &Finding::verdict, Verdict::kFail))));
  for (const Finding& finding : findings) {
    EXPECT_EQ(finding.thing, "backend 192.0.2.9:25");
  }
}

TEST_F(BackendProbeTest, NothingIsDelivered) {
  Probe({});
  EXPECT_EQ(delivered_, 0);
  EXPECT_EQ(std::count(verbs_.begin(), verbs_.end(), "QUIT"), connections_);
}

TEST_F(BackendProbeTest, OneThatCannotBeReached) {
  is_down_ = true;
  const auto findings = Probe({});
  ASSERT_THAT(findings, SizeIs(1));
  EXPECT_THAT(findings[0], Is(Verdict::kFail, "start the mail server"));
}

TEST_F(BackendProbeTest, OneThatTurnsUsAway) {
  mischief_ = [](const SinkMta::Event& event) {
    std::optional<SinkMta::Misdeed> misdeed;
    if (event.verb == "CONNECT") misdeed.emplace().reply = "421 busy\r\n";
    return misdeed;
  };
  const auto findings = Probe({});
  ASSERT_THAT(findings, SizeIs(1));
  EXPECT_THAT(findings[0], Is(Verdict::kFail, "greeting: 421 busy"));
}

TEST_F(BackendProbeTest, OneThatHangsEndsInTime) {
  mischief_ = [](const SinkMta::Event& event) {
    std::optional<SinkMta::Misdeed> misdeed;
    if (event.verb == "RCPT") misdeed.emplace();  // nothing is said
    return misdeed;
  };
  const auto findings = Probe({});
  EXPECT_THAT(findings, Contains(Is(Verdict::kFail, "the connection broke")));
  EXPECT_LT(took_, 2min);
}

TEST_F(BackendProbeTest, SingleUseIsTold) {
  SinkMta::Options once;
  once.xclient = SinkMta::Xclient::kOnce;
  EXPECT_THAT(Probe(once),
              Contains(Is(Verdict::kWarn, "smtpd_authorized_xclient_hosts")));
  settings_.pool_mode = PoolMode::kSession;
  EXPECT_THAT(Probe(once), Contains(Is(Verdict::kOk, "one XCLIENT per")));
}

TEST_F(BackendProbeTest, WithoutXclientItIsOurAddressThatMayNotRelay) {
  SinkMta::Options none;
  none.xclient = SinkMta::Xclient::kNone;
  auto findings = Probe(none);
  EXPECT_THAT(findings, Contains(Is(Verdict::kWarn, "does not offer XCLIENT")));
  EXPECT_THAT(findings, Contains(Is(Verdict::kOk, "relay for our own")));
  settings_.backend_identity = BackendIdentity::kXclient;
  EXPECT_THAT(Probe(none),
              Contains(Is(Verdict::kFail, "does not offer XCLIENT")));
  settings_.backend_identity = BackendIdentity::kXforward;
  EXPECT_THAT(Probe(none),
              Contains(Is(Verdict::kFail, "does not offer XFORWARD")));
  settings_.backend_identity = BackendIdentity::kNone;
  mischief_ = [](const SinkMta::Event&) { return std::nullopt; };
  EXPECT_THAT(Probe(none),
              Contains(Is(Verdict::kFail, "anybody could relay through us")));
}

TEST_F(BackendProbeTest, AnOpenRelayIsFoundBehindOneRefusal) {
  mischief_ = [](const SinkMta::Event& event) {
    std::optional<SinkMta::Misdeed> misdeed;
    if (event.line.find(".invalid>") != event.line.npos) {
      misdeed.emplace().reply = "450 4.1.2 Domain not found\r\n";
    }
    return misdeed;
  };
  EXPECT_THAT(Probe({}), Contains(Is(Verdict::kFail, "it relays for anybody")));
}

TEST_F(BackendProbeTest, ForNowIsNoAnswer) {
  mischief_ = [](const SinkMta::Event& event) {
    std::optional<SinkMta::Misdeed> misdeed;
    if (event.verb == "RCPT") misdeed.emplace().reply = "450 4.2.0 later\r\n";
    return misdeed;
  };
  EXPECT_THAT(Probe({}), Contains(Is(Verdict::kNote, "is not known")));
}

TEST_F(BackendProbeTest, PunishmentBeforeWeRetireIsTold) {
  // As Postfix: from the sixth error on each reply is a second late.
  int errors = 0;
  mischief_ = [&errors](const SinkMta::Event& event) {
    auto misdeed = BeGood(event);
    if (event.verb == "XTLSPOSTCHECK" || misdeed.has_value()) ++errors;
    const bool is_asked = event.verb == "XTLSPOSTCHECK" || event.verb == "NOOP";
    if (errors > 5 && is_asked) {
      misdeed.emplace().delay = 1s;
      misdeed->normal = true;
    }
    return misdeed;
  };
  EXPECT_THAT(Probe({}),
              Contains(AllOf(Is(Verdict::kWarn, "after 5 errors"),
                             Is(Verdict::kWarn, "backend_max_errors = 4"))));
  errors = 0;
  settings_.backend_max_errors = 5;
  EXPECT_THAT(Probe({}), Contains(Is(Verdict::kOk, "bears 5 errors")));
}

TEST_F(BackendProbeTest, OneLateReplyIsChance) {
  int errors = 0;
  mischief_ = [&errors](const SinkMta::Event& event) {
    auto misdeed = BeGood(event);
    if (event.verb == "XTLSPOSTCHECK" && ++errors == 3) {
      misdeed.emplace().delay = 1s;
      misdeed->normal = true;
    }
    return misdeed;
  };
  EXPECT_THAT(Probe({}), Contains(Is(Verdict::kOk, "bears 8 errors")));
}

TEST_F(BackendProbeTest, JunkLimitsAreTold) {
  int commands = 0;
  mischief_ = [&commands](const SinkMta::Event& event) {
    auto misdeed = BeGood(event);
    if (event.verb == "RSET" && ++commands > 11) {
      misdeed.emplace().reply = "421 4.7.0 too many\r\n";
      misdeed->close = true;
    }
    return misdeed;
  };
  EXPECT_THAT(Probe({}), Contains(Is(Verdict::kWarn, "bears 10 commands")));
}

TEST_F(BackendProbeTest, E107Ipv6ClientsOfABackendWithoutIpv6) {
  ProbeOptions with_ipv6;
  with_ipv6.has_ipv6_clients = true;
  EXPECT_THAT(Probe({}, with_ipv6),
              Contains(Is(Verdict::kOk, "takes IPv6 clients")));
  mischief_ = [](const SinkMta::Event& event) {
    auto misdeed = BeGood(event);
    if (event.line.find("IPV6:") != event.line.npos) {
      misdeed.emplace().reply = "501 5.5.4 Bad ADDR syntax\r\n";
    }
    return misdeed;
  };
  EXPECT_THAT(Probe({}, with_ipv6),
              Contains(Is(Verdict::kFail, "inet_protocols = all")));
  // Nobody comes from there: nobody asks.
  EXPECT_THAT(Probe({}),
              Not(Contains(Field(&Finding::text, HasSubstr("IPv6")))));
}

TEST_F(BackendProbeTest, BareLineFeeds) {
  // The sink takes any line end for one, and refuses the message: the harmless
  // way to find that out.
  EXPECT_THAT(Probe({}), Contains(Is(Verdict::kWarn, "SMTP smuggling")));
  EXPECT_EQ(delivered_, 0);

  mischief_ = [](const SinkMta::Event& event) {
    auto misdeed = BeGood(event);
    if (event.verb == ".") misdeed->reply = "521 5.5.2 bare <LF> received\r\n";
    return misdeed;
  };
  EXPECT_THAT(Probe({}), Contains(Is(Verdict::kOk, "refuses bare LFs")));

  mischief_ = [](const SinkMta::Event& event) {
    auto misdeed = BeGood(event);
    if (event.verb == ".") misdeed.emplace();  // as if it went on
    return misdeed;
  };
  EXPECT_THAT(Probe({}), Contains(Is(Verdict::kOk, "takes no dot between")));

  mischief_ = [](const SinkMta::Event& event) {
    auto misdeed = BeGood(event);
    if (event.line.find("postmaster") != event.line.npos) {
      misdeed.emplace().reply = "550 5.1.1 nobody\r\n";
    }
    return misdeed;
  };
  EXPECT_THAT(Probe({}), Contains(Is(Verdict::kNote, "550 5.1.1 nobody")));
}

TEST_F(BackendProbeTest, ByProxyHeaderEachClientHasItsConnection) {
  SinkMta::Options by_header;
  by_header.proxy_header = true;
  settings_.backend_identity = BackendIdentity::kProxy;
  settings_.pool_mode = PoolMode::kSession;
  const auto findings = Probe(by_header);
  EXPECT_THAT(findings,
              Contains(Is(Verdict::kOk, "does not relay for a client")));
  EXPECT_THAT(
      findings,
      Not(Contains(Field("verdict", &Finding::verdict, Verdict::kFail))));
}

TEST_F(BackendProbeTest, TlsThatIsRequiredAndNotOffered) {
  settings_.backend_tls_security_level = BackendTlsLevel::kEncrypt;
  const auto findings = Probe({});
  ASSERT_THAT(findings, SizeIs(1));
  EXPECT_THAT(findings[0], Is(Verdict::kFail, "does not offer STARTTLS"));
}

}  // namespace
}  // namespace tlspost
