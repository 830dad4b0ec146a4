// Replay: every world has a number, and a failing one prints how to run it
// alone.
//
// Tests play their worlds through ForEachWorld. With TLSPOST_SIM_SEED=N in the
// environment only world N is played, with its log and dialogue printed.

#ifndef TLSPOST_TESTS_SIM_REPLAY_H_
#define TLSPOST_TESTS_SIM_REPLAY_H_

#include <cstdint>
#include <functional>
#include <string>

namespace tlspost::sim {

// Calls `play` with 0 .. count-1, until one fails. Made known to the reader
// of a failure, and of a crash: the command that replays the world.
void ForEachWorld(uint64_t count, const std::function<void(uint64_t)>& play);

// How often to play where more is better: `count`, times TLSPOST_SIM_WORLDS
// (a factor, 1 at first).
uint64_t Scaled(uint64_t count);

// Every how many places of an enumeration are played. One in the build that is
// shipped; three under sanitizers, where a place takes six times as long,
// unless TLSPOST_SIM_WORLDS asks for more.
uint64_t Sparing();

// "replay: TLSPOST_SIM_SEED=17 build/.../sim_test --gtest_filter=..."
const std::string& ReplayCommand();

// Whether a single world is replayed: it may be talkative.
bool Replaying();

}  // namespace tlspost::sim

#endif  // TLSPOST_TESTS_SIM_REPLAY_H_
