// Faults by position.

#include "tests/sim/faults.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <utility>

#include "tests/sim/replay.h"

namespace tlspost::sim {
namespace {

PipeFaults& PipeOf(ConnectionFaults& faults, Wire wire) {
  const bool to_server = wire == Wire::kFromClient || wire == Wire::kToBackend;
  return to_server ? faults.to_server : faults.to_client;
}

bool IsClientLeg(Wire wire) {
  return wire == Wire::kFromClient || wire == Wire::kToClient;
}

// How many octets pass each wire of the scene's first connections.
std::array<uint64_t, 4> Measure(Scene scene) {
  std::array<uint64_t, 4> lengths = {};
  const auto count = [&lengths](size_t to_server, size_t to_client) {
    return [&lengths, to_server, to_client](int number) {
      ConnectionFaults faults;
      if (number == 0) {
        faults.to_server.delivered = &lengths[to_server];
        faults.to_client.delivered = &lengths[to_client];
      }
      return faults;
    };
  };
  scene.options.client_faults = count(0, 1);
  scene.options.backend_faults = count(2, 3);
  World world(std::move(scene.options));
  for (ClientPlan& plan : scene.clients) world.AddClient(std::move(plan));
  EXPECT_EQ(world.Run(), "");
  return lengths;
}

}  // namespace

void AddFault(WorldOptions& options, Wire wire, Fault fault,
              uint64_t position) {
  auto& plan =
      IsClientLeg(wire) ? options.client_faults : options.backend_faults;
  plan = [wire, fault, position](int number) {
    ConnectionFaults faults;
    if (number > 0) return faults;
    PipeFaults& pipe = PipeOf(faults, wire);
    if (fault == Fault::kCut) pipe.cut_at = position;
    if (fault == Fault::kReset) pipe.reset_after = position;
    if (fault == Fault::kEnd) pipe.end_after = position;
    if (fault == Fault::kStall) pipe.stall_after = position;
    return faults;
  };
  options.clients_may_hang = fault == Fault::kStall && wire == Wire::kToClient;
}

void ForEachOctet(const MakeScene& make, const std::vector<Wire>& wires,
                  Fault fault, const Check& check, uint64_t stride) {
  const std::array<uint64_t, 4> lengths = Measure(make());
  std::vector<std::pair<Wire, uint64_t>> places;
  for (const Wire wire : wires) {
    ASSERT_GT(lengths[static_cast<size_t>(wire)], 0u);
    for (uint64_t at = 0; at <= lengths[static_cast<size_t>(wire)];
         at += stride * Sparing()) {
      places.emplace_back(wire, at);
    }
  }
  ForEachWorld(places.size(), [&](uint64_t number) {
    if (number >= places.size()) return;  // a replay of another enumeration
    const auto [wire, position] = places[number];
    Scene scene = make();
    scene.options.seed = number;
    AddFault(scene.options, wire, fault, position);
    World world(std::move(scene.options));
    for (ClientPlan& plan : scene.clients) world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "")
        << "wire " << static_cast<int>(wire) << ", octet " << position;
    if (check) check(world, wire);
  });
}

void ExpectAnswered(const SimClient& client) {
  for (const MailResult& result : client.results()) {
    const bool refused = result.mail >= 400 || result.data >= 400 ||
                         (result.data == 0 && result.mail == 250);
    EXPECT_TRUE(result.final_code > 0 || refused)
        << client.plan().helo << " got no answer";
  }
}

void ExpectAllSent(const SimClient& client) {
  for (const MailResult& result : client.results()) {
    EXPECT_EQ(result.final_code, 250)
        << client.plan().helo << ": MAIL " << result.mail << ", DATA "
        << result.data << ", " << result.final_text;
  }
}

}  // namespace tlspost::sim
