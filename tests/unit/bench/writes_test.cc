// How many writes, which are system calls and TLS records, a message takes: one
// for each time that the other side has to hear before it can go on.

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>

#include "bench/instructions/cells.h"

namespace tlspost::still {
namespace {

constexpr int kWritesMeasured = 10;

struct Writes {
  double client;   // to the client, for each operation
  double backend;  // to the mail server
};

Writes CountWrites(const char* name) {
  const Cell& cell = *FindCell(name);
  const std::unique_ptr<Scene> scene = Prepare(cell, StageOptions());
  cell.operate(*scene);
  const auto clients = [&scene] {
    uint64_t sum = 0;
    for (const auto& client : scene->clients) sum += client->wire().writes();
    return sum;
  };
  const uint64_t client = clients();
  const uint64_t backend = scene->stage.backend_writes();
  for (int i = 0; i < kWritesMeasured; ++i) cell.operate(*scene);
  return {static_cast<double>(clients() - client) / kWritesMeasured,
          static_cast<double>(scene->stage.backend_writes() - backend) /
              kWritesMeasured};
}

TEST(Writes, APipelinedEnvelopeIsOneEachWayAndItsMessageAnother) {
  const Writes writes = CountWrites("pipelined");
  EXPECT_EQ(writes.client, 2);
  EXPECT_EQ(writes.backend, 2);  // the header goes with the message
}

TEST(Writes, ACommandPerRoundTripIsAWritePerRoundTrip) {
  // MAIL, RCPT, DATA and the message: each reply is the backend's own, and the
  // client waits for it.
  const Writes writes = CountWrites("stream");
  EXPECT_EQ(writes.client, 4);
  EXPECT_EQ(writes.backend, 4);
}

TEST(Writes, AnotherClientsNameTakesOneMore) {
  // XCLIENT, which has the client's EHLO in it.
  const Writes writes = CountWrites("taking-turns");
  EXPECT_EQ(writes.client, 2);
  EXPECT_EQ(writes.backend, 3);
}

TEST(Writes, ANoopIsOneReply) {
  const Writes writes = CountWrites("noop");
  EXPECT_EQ(writes.client, 1);
  EXPECT_EQ(writes.backend, 0);
}

TEST(Writes, AMessageInAChunkGoesWithItsEnvelopesReplies) {
  const Writes writes = CountWrites("bdat");
  EXPECT_LE(writes.client, 2);
  EXPECT_EQ(writes.backend, 2);
}

}  // namespace
}  // namespace tlspost::still
