// Received fields: which count, which are our own, and where the header ends.

#include "common/smtp/hop_counter.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "common/smtp/received.h"

namespace tlspost::smtp {
namespace {

struct Hops {
  int all;
  int own;
  friend bool operator==(const Hops&, const Hops&) = default;
};

// Looked at in pieces of `piece` octets.
Hops Count(std::string_view message, size_t piece = 100'000) {
  HopCounter counter("mx.example", "tlspost");
  while (!message.empty()) {
    counter.Look(message.substr(0, piece));
    message.remove_prefix(std::min(piece, message.size()));
  }
  return Hops{counter.hops(), counter.own_hops()};
}

std::string OwnReceived() {
  ReceivedFields fields;
  fields.helo = "client.example";
  fields.client_address = "192.0.2.1";
  fields.by = "mx.example";
  fields.protocol = "ESMTPS";
  fields.id = "1234-5";
  fields.recipient = "r@example.org";
  fields.date = "Sun, 22 Nov 2026 17:35:19 +0000 (UTC)";
  return FormatReceived(fields);
}

TEST(HopCounter, E088CountsReceivedFieldsWhereverTheyAreCut) {
  const std::string message =
      OwnReceived() +
      "Received: from a by b; date\r\nSubject: Received: no\r\n" +
      "RECEIVED : from c\r\n\tby mx.example (tlspost) \r\n with x\r\n" +
      "X-Received: y\r\n Received: folded\r\n\r\n" +
      "Received: in the body\r\n" + OwnReceived();
  for (size_t piece = 1; piece <= message.size(); ++piece) {
    EXPECT_EQ(Count(message, piece), (Hops{3, 2})) << piece;
  }
}

TEST(HopCounter, E088OurOwnMarkIsOnlyOursInAReceivedField) {
  EXPECT_EQ(Count("Received: by mx.example (tlspost) with\r\n"), (Hops{1, 1}));
  EXPECT_EQ(Count("Received: by mx.example (Postfix) with\r\n"), (Hops{1, 0}));
  EXPECT_EQ(Count("Received: by a.mx.example (tlspost) w\r\n"), (Hops{1, 0}));
  EXPECT_EQ(Count("X-Note: by mx.example (tlspost) with\r\n"), (Hops{0, 0}));
  // Twice in one field is one hop.
  EXPECT_EQ(Count("Received: by mx.example (tlspost) \r\n"
                  " by mx.example (tlspost) \r\n"),
            (Hops{1, 1}));
}

TEST(HopCounter, EndsWithTheHeader) {
  for (const std::string_view start :
       {"\r\n", "no field\r\n", ": no name\r\n", "two words: x\r\n",
        "\x80: no name\r\n", "..dot\r\n"}) {
    EXPECT_EQ(Count(std::string(start) + "Received: x\r\n"), (Hops{0, 0}))
        << start;
  }
  HopCounter counter("mx.example", "tlspost");
  counter.Look("A: b\n\n");
  EXPECT_FALSE(counter.in_header());
}

TEST(HopCounter, LongLinesCostNoMemoryAndHideNothingBehindThem) {
  const std::string message = "X-Long: " + std::string(1'000'000, 'x') +
                              "\r\nReceived: " + std::string(1'000'000, 'y') +
                              "\r\nReceived: z\r\n" + std::string(600, 'n') +
                              ": w\r\nReceived: v\r\n\r\n";
  // A name that long is none: the header ends there.
  EXPECT_EQ(Count(message), (Hops{2, 0}));
  EXPECT_EQ(Count(message, 7), (Hops{2, 0}));
}

}  // namespace
}  // namespace tlspost::smtp
