// Mails that come in chunks, and the world with one backend connection that
// they are played in.

#ifndef TLSPOST_TESTS_SIM_CHUNK_SCENE_H_
#define TLSPOST_TESTS_SIM_CHUNK_SCENE_H_

#include <cstdint>
#include <string>

#include "tests/sim/world.h"

namespace tlspost::sim {

// What every line reader would fall for: ends, commands, bare line ends, NUL.
std::string Trap();

// A binary mail of that text, by BDAT.
Mail ChunkedMail(int client, int number, int chunks = 2);
// A client with so many of them, which comes when the offers are known.
ClientPlan ChunkClient(int number, int mails = 1, int chunks = 2);

WorldOptions OneSlot(uint64_t seed,
                     SinkMta::Xclient xclient = SinkMta::Xclient::kMany);

}  // namespace tlspost::sim

#endif  // TLSPOST_TESTS_SIM_CHUNK_SCENE_H_
