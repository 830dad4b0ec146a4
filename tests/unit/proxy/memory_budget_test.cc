// The sum of the bounds, against the machine.

#include "proxy/memory_budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tlspost {
namespace {

using ::testing::HasSubstr;

TEST(MemoryBudget, GrowsWithEachBound) {
  const Settings settings;
  const uint64_t sum = SumOf(WorstCaseMemory(settings, 2, 10000));
  Settings more = settings;
  more.backend_max_connections *= 2;
  EXPECT_GT(SumOf(WorstCaseMemory(more, 2, 10000)), sum);
  more = settings;
  more.log_queue_size *= 2;
  EXPECT_GT(SumOf(WorstCaseMemory(more, 2, 10000)), sum);
  more = settings;
  more.tls_handshake_limit *= 2;
  EXPECT_GT(SumOf(WorstCaseMemory(more, 2, 10000)), sum);
  EXPECT_GT(SumOf(WorstCaseMemory(settings, 4, 10000)), sum);
  // Each client is 64 KiB to 256 KiB at its worst.
  const uint64_t ten_more = SumOf(WorstCaseMemory(settings, 2, 10010)) - sum;
  EXPECT_GT(ten_more, 10u * (64 << 10));
  EXPECT_LT(ten_more, 10u * (256 << 10));
}

TEST(MemoryBudget, NoMoreHandshakesThanClients) {
  const Settings settings;
  const auto terms = WorstCaseMemory(settings, 1, 10);
  EXPECT_EQ(terms[1].what, "handshakes");
  EXPECT_EQ(terms[1].count, 10u);
}

TEST(MemoryBudget, WarnsOnlyWhereItDoesNotFit) {
  const auto terms = WorstCaseMemory(Settings(), 2, 10000);
  const uint64_t sum = SumOf(terms);
  EXPECT_EQ(MemoryWarning(terms, {sum, "the machine"}), "");
  EXPECT_EQ(MemoryWarning(terms, {0, ""}), "");
  EXPECT_THAT(MemoryWarning(terms, {sum - 1, "/sys/fs/cgroup/memory.max"}),
              HasSubstr("(/sys/fs/cgroup/memory.max); lower max_connections"));
  EXPECT_THAT(DescribeMemory(terms), HasSubstr("clients "));
}

}  // namespace
}  // namespace tlspost
