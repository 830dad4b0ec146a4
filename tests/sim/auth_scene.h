// Worlds in which clients authenticate.

#ifndef TLSPOST_TESTS_SIM_AUTH_SCENE_H_
#define TLSPOST_TESTS_SIM_AUTH_SCENE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "tests/sim/faults.h"
#include "tests/sim/world.h"

namespace tlspost::sim {

inline constexpr std::string_view kMechanisms[] = {"PLAIN", "LOGIN", "X-STEPS"};

// A backend that knows user0 to user9, behind a proxy that takes AUTH in
// plaintext too.
WorldOptions AuthOptions(uint64_t seed);

// What userN says, with the right password.
SimAuth RightAuth(int number, std::string_view mechanism, bool initial = false);
// The same with a wrong one.
SimAuth WrongAuth(int number, std::string_view mechanism, bool initial = false);

// A client that authenticates once the backend's list is known, and then sends
// so many mails.
ClientPlan MakeAuthClient(int number, int mails, std::string_view mechanism,
                          bool initial = false);

}  // namespace tlspost::sim

#endif  // TLSPOST_TESTS_SIM_AUTH_SCENE_H_
