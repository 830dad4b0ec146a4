// The end of a pool by itself, between two steps of its borrowers.

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/io/endpoint.h"
#include "common/io/task_group.h"
#include "common/smtp/xclient.h"
#include "proxy/backend_notes.h"
#include "proxy/backend_pool.h"
#include "proxy/counters.h"
#include "proxy/demo/sink_mta.h"
#include "proxy/settings.h"
#include "proxy/slot_budget.h"
#include "tests/sim/replay.h"
#include "tests/sim/sim_loop.h"
#include "tests/unit/proxy/no_log.h"

namespace tlspost::sim {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""s;

// Two clients and one connection, whose server does not answer the second
// client's XCLIENT.
class PoolEnd {
 public:
  explicit PoolEnd(uint64_t seed) : loop_(seed), sink_(loop_, {}) {
    sink_.set_mischief(
        [](const SinkMta::Event& event) -> std::optional<SinkMta::Misdeed> {
          if (event.line.find("192.0.2.2") == std::string_view::npos) {
            return std::nullopt;
          }
          return SinkMta::Misdeed();
        });
    const io::Endpoint server = *io::Endpoint::FromIp("10.0.0.1", 10025);
    EXPECT_TRUE(sink_.Listen(server).ok());
    pool_.emplace(loop_, settings_,
                  std::vector<BackendAddress>{{server.ToString(), server}},
                  nullptr, slots_, notes_, log_, counters_);
    pool_->Start();
  }

  // The first client gives the connection back while the second one waits, and
  // all loans are cut off before that one runs again. Says how long it waited
  // from there on.
  std::optional<io::Duration> CutOffAtGrant() {
    tasks_.Spawn(BorrowFirst());
    const bool borrowed = loop_.RunUntil([this] { return bool{lease_}; }, 1h);
    EXPECT_TRUE(borrowed);
    tasks_.Spawn(BorrowSecond());
    EXPECT_TRUE(loop_.RunUntil([this] { return pool_->waiting() == 1; }, 1h));
    lease_.AtBoundary();
    lease_.Return();
    EXPECT_EQ(pool_->waiting(), 0);  // it was granted
    pool_->CutOff();
    const io::Time cut_off = loop_.Now();
    if (!loop_.RunUntil([this] { return refused_.has_value(); }, 1h)) {
      return std::nullopt;
    }
    const io::Duration waited = *refused_ - cut_off;
    tasks_.Spawn(End());
    EXPECT_TRUE(loop_.RunUntil([this] { return tasks_.size() == 0; }, 1h));
    return waited;
  }

 private:
  static std::shared_ptr<const Settings> WithoutSpares() {
    auto settings = std::make_shared<Settings>();
    settings->backend_warm_spares = 0;
    return settings;
  }

  static smtp::ClientIdentity ClientAt(std::string address) {
    smtp::ClientIdentity client;
    client.address = std::move(address);
    client.helo = "client.example";
    return client;
  }

  Task<void> BorrowFirst() {
    const Borrower borrower{first_, "T1", /*tls=*/nullptr};
    const io::Time deadline = loop_.Now() + 60s;
    auto acquired = co_await pool_->Acquire(borrower, deadline);
    EXPECT_EQ(acquired.refusal, "");
    lease_ = std::move(acquired.lease);
  }

  Task<void> BorrowSecond() {
    const Borrower borrower{second_, "T2", /*tls=*/nullptr};
    const io::Time deadline = loop_.Now() + 60s;
    auto acquired = co_await pool_->Acquire(borrower, deadline);
    EXPECT_NE(acquired.refusal, "");
    refused_ = loop_.Now();
  }

  Task<void> End() {
    const io::Time deadline = loop_.Now() + 60s;
    const bool ended = co_await pool_->Shutdown(deadline);
    EXPECT_TRUE(ended);
    sink_.Stop();
    const bool stopped = co_await sink_.Stopped(deadline);
    EXPECT_TRUE(stopped);
  }

  SimLoop loop_;
  SinkMta sink_;
  const std::shared_ptr<const Settings> settings_ = WithoutSpares();
  SlotBudget slots_{/*max=*/1, /*workers=*/1};
  BackendNotes notes_;
  NoLog log_;
  Counters counters_;
  std::optional<BackendPool> pool_;
  const smtp::ClientIdentity first_ = ClientAt("192.0.2.1");
  const smtp::ClientIdentity second_ = ClientAt("192.0.2.2");
  Lease lease_;
  std::optional<io::Time> refused_;
  io::TaskGroup tasks_{loop_};
};

TEST(PoolEnd, CutsOffWhatWasGrantedAndNotTakenYet) {
  ForEachWorld(20, [](uint64_t number) {
    PoolEnd scene(number);
    const std::optional<io::Duration> waited = scene.CutOffAtGrant();
    ASSERT_TRUE(waited.has_value());
    EXPECT_LT(*waited, 1s);
  });
}

}  // namespace
}  // namespace tlspost::sim
