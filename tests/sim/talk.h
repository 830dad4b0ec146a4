// Talk: a client that says what it likes, and what it heard.
//
// For the edge cases, which are about single commands: the world has one
// backend connection, and when the talk is over a second client's mail must
// arrive over it.

#ifndef TLSPOST_TESTS_SIM_TALK_H_
#define TLSPOST_TESTS_SIM_TALK_H_

#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/world.h"

namespace tlspost::sim {

struct Heard {
  std::string codes;                 // of the replies, parted by blanks
  std::vector<std::string> replies;  // behind the one to EHLO
  std::string ehlo;                  // that one
  std::string backend;               // what the backend was told
  std::string log;

  bool BackendHas(std::string_view words) const {
    return backend.find(words) != std::string::npos;
  }
};

// Says `bytes` behind EHLO, hears so many replies, says QUIT. It comes when
// the backend's offers are known.
Heard Talk(WorldOptions options, std::string bytes, int replies);
// The same in several steps.
Heard Talk(WorldOptions options, std::vector<RawStep> steps);

// A backend that answers `verb`, and a line with `words` in it, so.
SinkMta::Mischief Answering(std::string_view verb, std::string_view words,
                            std::string reply);

}  // namespace tlspost::sim

#endif  // TLSPOST_TESTS_SIM_TALK_H_
