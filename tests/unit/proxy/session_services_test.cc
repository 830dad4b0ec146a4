// Ids of transactions, and Postfix's summary at the end of a session.

#include "proxy/session_services.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "proxy/slot_budget.h"
#include "proxy/worker.h"
#include "tests/sim/sim_loop.h"
#include "tests/unit/proxy/no_log.h"

namespace tlspost {
namespace {

using smtp::Verb;

TEST(SessionServices, IdsBeginWithTheInstanceAndDiffer) {
  sim::SimLoop loop(/*seed=*/1);
  const Settings settings;
  NoLog log;
  Counters counters;
  WorkerRecords records;
  WorkerShared shared(settings,
                      {{"mail", *io::Endpoint::FromIp("192.0.2.26", 25)}},
                      /*workers=*/1, log);
  BackendPool pool(loop, SettingsOf(shared.generation),
                   shared.generation->backends, nullptr, shared.slots,
                   shared.notes, log, counters);
  uint64_t transactions = 0;
  const bool no = false;
  io::WaitQueue delays(loop);
  SessionServices services{loop,
                           settings,
                           pool,
                           log,
                           counters,
                           records,
                           shared.generation->terms.front()->policies,
                           shared.handshakes,
                           nullptr,
                           "1A2B3C.0",
                           transactions,
                           /*overloaded=*/no,
                           /*draining=*/no,
                           delays};
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) ids.insert(services.NextId());
  EXPECT_EQ(ids.size(), 1000u);
  for (const std::string& id : ids) {
    EXPECT_TRUE(id.starts_with("1A2B3C.0-")) << id;
  }
  EXPECT_TRUE(ids.count("1A2B3C.0-1") == 1);
  EXPECT_TRUE(ids.count("1A2B3C.0-3E8") == 1) << "hexadecimal, upper case";
}

TEST(CommandTally, ASilentClientSaidNothing) {
  EXPECT_EQ(CommandTally().Summary(), "commands=0");
}

TEST(CommandTally, CountsAsPostfixDoes) {
  CommandTally tally;
  tally.Count(Verb::kEhlo, true);
  tally.Count(Verb::kStartTls, true);
  tally.Count(Verb::kEhlo, true);
  tally.Count(Verb::kMail, false);
  tally.Count(Verb::kQuit, true);
  EXPECT_EQ(tally.Summary(), "ehlo=2 starttls=1 mail=0/1 quit=1 commands=4/5");
}

TEST(CommandTally, KeepsPostfixsOrderWhateverTheClients) {
  CommandTally tally;
  for (const Verb verb :
       {Verb::kQuit, Verb::kHelp, Verb::kVrfy, Verb::kNoop, Verb::kRset,
        Verb::kBdat, Verb::kData, Verb::kRcpt, Verb::kMail, Verb::kAuth,
        Verb::kStartTls, Verb::kEhlo, Verb::kHelo}) {
    tally.Count(verb, true);
  }
  EXPECT_EQ(tally.Summary(),
            "helo=1 ehlo=1 starttls=1 auth=1 mail=1 rcpt=1 data=1 bdat=1 "
            "rset=1 noop=1 vrfy=1 help=1 quit=1 commands=13");
}

TEST(CommandTally, AllOthersAreUnknown) {
  CommandTally tally;
  tally.Count(Verb::kUnknown, false);
  tally.Count(Verb::kForbidden, false);
  tally.Count(Verb::kEmpty, false);
  EXPECT_EQ(tally.Summary(), "unknown=0/3 commands=0/3");
}

TEST(CommandTally, StaysAtItsLimit) {
  CommandTally tally;
  for (int i = 0; i < 70000; ++i) tally.Count(Verb::kNoop, i % 2 == 0);
  EXPECT_EQ(tally.Summary(), "noop=32768/65535 commands=32768/65535");
}

TEST(ClientState, HasNotGreetedAtFirst) {
  ClientState state;
  EXPECT_FALSE(state.greeted());
  state.helo = "client.example";
  EXPECT_TRUE(state.greeted());
}

}  // namespace
}  // namespace tlspost
