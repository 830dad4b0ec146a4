// Enumeration: one fault at every octet of every wire of a scene.
//
// A scene is a world and its clients; it is played once without a fault to
// learn how long its wires are, and then once per octet and wire.

#ifndef TLSPOST_TESTS_SIM_FAULTS_H_
#define TLSPOST_TESTS_SIM_FAULTS_H_

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "tests/sim/world.h"

namespace tlspost::sim {

enum class Wire { kFromClient, kToClient, kToBackend, kFromBackend };
inline const std::vector<Wire> kClientWires = {Wire::kFromClient,
                                               Wire::kToClient};
inline const std::vector<Wire> kBackendWires = {Wire::kToBackend,
                                                Wire::kFromBackend};
inline const std::vector<Wire> kEveryWire = {
    Wire::kFromClient, Wire::kToClient, Wire::kToBackend, Wire::kFromBackend};

enum class Fault {
  kCut,    // one read ends there
  kReset,  // RST
  kEnd,    // FIN, and the rest is lost
  kStall,  // silence
};

struct Scene {
  WorldOptions options;
  std::vector<ClientPlan> clients;
};
using MakeScene = std::function<Scene()>;

// The first connection's `wire` has `fault` at octet `position`.
void AddFault(WorldOptions& options, Wire wire, Fault fault, uint64_t position);

// Plays the scene with `fault` at each octet of `wires`, or at every
// (stride * Sparing())th of them. The ledger must be right each time; `check`
// asks for more.
using Check = std::function<void(const World&, Wire)>;
void ForEachOctet(const MakeScene& make, const std::vector<Wire>& wires,
                  Fault fault, const Check& check, uint64_t stride = 1);

// Every mail came to an end of which the client was told, or it lost its
// connection.
void ExpectAnswered(const SimClient& client);
// Every mail of the client was taken.
void ExpectAllSent(const SimClient& client);

}  // namespace tlspost::sim

#endif  // TLSPOST_TESTS_SIM_FAULTS_H_
