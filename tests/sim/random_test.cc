// Random worlds: clients, settings, faults and mischief, all from one number.
//
// What enumeration does not think of. TLSPOST_SIM_WORLDS=100 plays a hundred
// times as many.

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "tests/sim/faults.h"
#include "tests/sim/replay.h"
#include "tests/sim/world.h"

namespace tlspost::sim {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using Misdeed = SinkMta::Misdeed;
using Xclient = SinkMta::Xclient;

// Draws of its own, so that the loop's do not depend on how many were made.
class Dice {
 public:
  explicit Dice(uint64_t seed) : loop_(seed ^ 0x5eed5eed5eed5eedu) {}

  // 0 .. sides-1
  int Roll(int sides) {
    return static_cast<int>(loop_.Random() % static_cast<uint64_t>(sides));
  }
  bool OneIn(int sides) { return Roll(sides) == 0; }

 private:
  SimLoop loop_;
};

PipeFaults RandomFaults(Dice& dice, int longest) {
  PipeFaults faults;
  faults.random_cuts = dice.OneIn(3);
  faults.random_delays = dice.OneIn(4);
  if (dice.OneIn(6)) faults.max_read = static_cast<size_t>(1 + dice.Roll(20));
  const auto at = static_cast<uint64_t>(dice.Roll(longest));
  switch (dice.Roll(14)) {
    case 0:
      faults.reset_after = at;
      break;
    case 1:
      faults.end_after = at;
      break;
    case 2:
      faults.stall_after = at;
      break;
    default:
      break;
  }
  return faults;
}

ConnectionFaults RandomConnection(Dice& dice, int longest) {
  ConnectionFaults faults;
  faults.to_server = RandomFaults(dice, longest);
  faults.to_client = RandomFaults(dice, longest);
  return faults;
}

void RandomSettings(Dice& dice, Settings& settings) {
  settings.backend_max_connections = 1 + dice.Roll(3);
  settings.backend_warm_spares = dice.Roll(3);
  if (dice.OneIn(4)) settings.backend_max_uses = 1 + dice.Roll(4);
  if (dice.OneIn(4)) settings.backend_max_errors = 1 + dice.Roll(4);
  if (dice.OneIn(4)) settings.backend_max_age = Settings::Seconds(5);
  if (dice.OneIn(4))
    settings.backend_idle_timeout = Settings::Milliseconds(200);
  if (dice.OneIn(4)) settings.command_timeout = Settings::Seconds(3);
  if (dice.OneIn(4)) settings.data_timeout = Settings::Seconds(2);
  if (dice.OneIn(4)) settings.backend_timeout = Settings::Seconds(4);
  if (dice.OneIn(4)) settings.backend_data_done_timeout = Settings::Seconds(3);
  if (dice.OneIn(4)) settings.pool_wait_timeout = Settings::Seconds(2);
  if (dice.OneIn(8)) settings.pool_wait_timeout = Settings::Seconds(0);
  if (dice.OneIn(5)) settings.message_size_limit = 400;
  if (dice.OneIn(6)) settings.recipient_limit = 2;
  if (dice.OneIn(6)) settings.max_connections = 2;
  if (dice.OneIn(5)) settings.bare_newline = BareNewline::kReject;
  if (dice.OneIn(8)) settings.hard_error_limit = 2;
  if (dice.OneIn(6)) settings.drain_timeout = Settings::Seconds(1);
}

// A misdeed now and then; a message is only ever accepted honestly. An EHLO
// refused for good makes a backend without XCLIENT of it, which is another
// world, so EHLO and CONNECT are only delayed, refused for now or dropped.
SinkMta::Mischief RandomMischief(uint64_t seed, int sides) {
  auto dice = std::make_shared<Dice>(seed + 1);
  return [=](const SinkMta::Event& event) -> std::optional<Misdeed> {
    if (!dice->OneIn(sides)) return std::nullopt;
    static constexpr std::string_view kReplies[] = {
        "",
        "421 4.3.2 closing\r\n",
        "450-4.2.0 Not\r\n450 4.2.0 now\r\n",
        "550 5.7.1 Never\r\n",
        "552 5.3.4 Too big\r\n",
        "garbage\r\n",
        "550 5.0.0 One\r\n250 2.0.0 two\r\n",
        "45",
    };
    Misdeed misdeed;
    misdeed.close = dice->OneIn(2);
    const bool greeting = event.verb == "CONNECT" || event.verb == "EHLO";
    misdeed.reply = kReplies[dice->Roll(greeting ? 2 : std::size(kReplies))];
    if (dice->OneIn(3)) {
      misdeed.normal = true;
      misdeed.delay = dice->Roll(3000) * 2ms;
    }
    return misdeed;
  };
}

ClientPlan RandomClient(Dice& dice, int number, int workers) {
  ClientPlan plan;
  const int mails = 1 + dice.Roll(3);
  for (int i = 0; i < mails; ++i) {
    plan.mails.push_back(MakeMail(number, i, 1 + dice.Roll(3)));
    while (dice.OneIn(3)) {
      plan.mails.back().body +=
          std::string(static_cast<size_t>(1 + dice.Roll(3000)), 'y') + "\r\n";
    }
  }
  plan.worker = dice.Roll(workers);
  plan.tls = static_cast<ClientTls>(dice.Roll(3));
  plan.pipelining = dice.OneIn(2);
  plan.esmtp = plan.tls != ClientTls::kNone || !dice.OneIn(5);
  if (plan.tls != ClientTls::kNone) plan.first_helo = "before-tls.example";
  plan.start_after = dice.Roll(200) * 5ms;
  plan.pause = dice.OneIn(3) ? dice.Roll(300) * 5ms : 0ms;
  plan.says_quit = !dice.OneIn(4);
  if (dice.OneIn(4)) {
    plan.stop_after = static_cast<uint64_t>(dice.Roll(600));
    plan.stop = static_cast<Stop>(dice.Roll(3));
  }
  if (dice.OneIn(5)) {
    plan.behind_dot = "NOOP\r\nMAIL FROM:<>\r\nRSET\r\n";
    plan.replies_behind_dot = 3;
  }
  return plan;
}

void RandomEvents(Dice& dice, World& world, bool speaks_unasked) {
  if (dice.OneIn(4)) {
    world.AtStep(dice.Roll(1500), [&world] { world.RestartBackend(1s); });
  }
  if (dice.OneIn(4)) {
    world.AtStep(dice.Roll(1500), [&world] { world.Drain(); });
  }
  if (speaks_unasked) {
    const io::Endpoint backend = *io::Endpoint::FromIp("10.0.0.1", 10025);
    world.AtStep(dice.Roll(1500), [&world, backend] {
      world.loop().SayUnasked(backend, "421 4.4.2 timeout\r\n");
    });
  }
}

TEST(RandomWorlds, KeepTheLedger) {
  ForEachWorld(Scaled(150), [](uint64_t number) {
    Dice dice(number);
    WorldOptions options;
    options.seed = number;
    RandomSettings(dice, options.settings);
    options.workers = 1 + dice.Roll(2);
    options.sinks = 1 + dice.Roll(2);
    options.sink.xclient = static_cast<Xclient>(dice.Roll(3));
    options.sink.pipelining = !dice.OneIn(3);
    options.sink.enhanced_status_codes = !dice.OneIn(3);
    if (dice.OneIn(2)) {
      options.mischief = RandomMischief(number, 4 + dice.Roll(40));
    }
    if (dice.OneIn(2)) {
      auto faults = std::make_shared<Dice>(number + 2);
      options.client_faults = [=](int) {
        return RandomConnection(*faults, 900);
      };
      options.clients_may_hang = true;
    }
    if (dice.OneIn(2)) {
      auto faults = std::make_shared<Dice>(number + 3);
      options.backend_faults = [=](int) {
        return RandomConnection(*faults, 1500);
      };
    }
    const bool speaks_unasked = dice.OneIn(6);
    options.backend_may_lie = speaks_unasked;
    const int workers = options.workers;
    World world(std::move(options));
    const int clients = 2 + dice.Roll(5);
    for (int i = 0; i < clients; ++i) {
      world.AddClient(RandomClient(dice, i, workers));
    }
    RandomEvents(dice, world, speaks_unasked);
    EXPECT_EQ(world.Run(), "");
  });
}

}  // namespace
}  // namespace tlspost::sim
