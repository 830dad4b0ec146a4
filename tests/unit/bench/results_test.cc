// Results that start over keep what must not be forgotten.

#include "bench/load/results.h"

#include <gtest/gtest.h>

#include <chrono>

#include "bench/load/load_options.h"

namespace tlspost::load {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

TEST(Results, StartingOverForgetsFiguresButNoErrorAndNoMessage) {
  Results results;
  results.Took(Phase::kNoop, 5ms);
  results.Failed("rcpt 450", "450 later");
  results.sessions = results.messages = results.octets = 7;
  results.handshakes = results.resumed = 7;
  results.tls = "TLSv1.3";
  results.sent.push_back({1, 2, 3, verify::Outcome::kAccepted});
  results.StartOver();
  EXPECT_EQ(results.phase(Phase::kNoop).count(), 0u);
  EXPECT_EQ(results.sessions + results.messages + results.octets, 0u);
  EXPECT_EQ(results.handshakes + results.resumed, 0u);
  EXPECT_EQ(results.error_count(), 1u);
  EXPECT_EQ(results.tls, "TLSv1.3");
  EXPECT_EQ(results.sent.size(), 1u);
  results.Took(Phase::kNoop, 1ms);
  EXPECT_EQ(results.phase(Phase::kNoop).count(), 1u);
}

TEST(LoadOptions, AWarmUpLeavesSomethingToMeasure) {
  LoadOptions options;
  options.warm_up = 2s;
  options.duration = 2s;
  EXPECT_FALSE(Settle(options).ok());
  options.duration = 3s;
  EXPECT_TRUE(Settle(options).ok());
  // Without a duration the count ends it.
  options.duration = 0s;
  options.count = 10;
  EXPECT_TRUE(Settle(options).ok());
}

}  // namespace
}  // namespace tlspost::load
