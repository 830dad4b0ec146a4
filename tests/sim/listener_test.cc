// Sessions of a [[listener]] have its settings.

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "tests/sim/faults.h"
#include "tests/sim/world.h"

namespace tlspost::sim {
namespace {

// A world at whose second set of terms, the listener's, these settings differ.
WorldOptions TwoTerms() {
  WorldOptions options;
  options.settings.message_size_limit = 1000;
  options.settings.tls_cert_file = "of-the-simulation.pem";
  ListenerRule rule;
  rule.addresses = {"0.0.0.0:587"};
  rule.changes = {{"message_size_limit", {"5000"}},
                  {"hostname", {"submission.example"}},
                  {"tls_security_level", {"encrypt"}},
                  {"helo_required", {"no"}},
                  {"hard_error_limit", {"2"}}};
  options.settings.listeners = {rule};
  return options;
}

TEST(Listener, ItsSettingsHoldForItsSessionsOnly) {
  for (const size_t terms : {0, 1}) {
    WorldOptions options = TwoTerms();
    options.terms = terms;
    World world(std::move(options));
    ClientPlan plan;
    plan.raw = {{"MAIL FROM:<a@example>\r\n", 1}};
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    const auto& replies = world.client(0).replies();
    const bool own = terms == 1;
    EXPECT_TRUE(replies[0].starts_with(own ? "220 submission.example"
                                           : "220 mx.example"));
    EXPECT_NE(replies[1].find(own ? "SIZE 5000" : "SIZE 1000"),
              std::string::npos);
    EXPECT_TRUE(replies[2].starts_with(own ? "530 5.7.0" : "250"));
  }
}

TEST(Listener, MailGoesThroughTheOnePool) {
  WorldOptions options = TwoTerms();
  options.terms = 1;
  options.settings.listeners[0].changes.erase(
      options.settings.listeners[0].changes.begin() + 1);  // the ledger's name
  World world(std::move(options));
  for (int i = 0; i < 3; ++i) {
    ClientPlan plan = MakeClient(i, 2);
    plan.tls = ClientTls::kTls13;
    world.AddClient(std::move(plan));
  }
  EXPECT_EQ(world.Run(), "");
  for (int i = 0; i < 3; ++i) ExpectAllSent(world.client(i));
}

TEST(Listener, ItsErrorLimitHolds) {
  WorldOptions options = TwoTerms();
  options.terms = 1;
  World world(std::move(options));
  ClientPlan plan;
  plan.raw = {{"X\r\n", 1}, {"X\r\n", 1}};
  world.AddClient(std::move(plan));
  EXPECT_EQ(world.Run(), "");
  EXPECT_TRUE(
      world.client(0).replies().back().starts_with("421 4.7.0 submission"));
}

}  // namespace
}  // namespace tlspost::sim
