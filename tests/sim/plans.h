// Plans of clients that say what they are told, and what they heard.

#ifndef TLSPOST_TESTS_SIM_PLANS_H_
#define TLSPOST_TESTS_SIM_PLANS_H_

#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/sim_client.h"

namespace tlspost::sim {

// A client that says each line when the one before was answered, `pause` later.
ClientPlan Saying(const std::vector<std::string>& lines,
                  io::Duration pause = {});
ClientPlan SayingOften(const std::string& line, int times);
// The same, all of it at once.
ClientPlan SayingAtOnce(const std::string& line, int times);
// A client that sends `bytes` octet by octet, `pause` apart, and awaits
// nothing.
ClientPlan Dripping(std::string_view bytes, io::Duration pause);

// Replies that begin so.
int CountReplies(const SimClient& client, std::string_view start);
// Whether a reply has these words anywhere.
bool HasHeard(const SimClient& client, std::string_view words);
std::string LastReply(const SimClient& client);
// The codes of the replies, parted by blanks, from the `first` on.
std::string Codes(const SimClient& client, size_t first);
// How often `words` are in `text`.
int CountWords(std::string_view text, std::string_view words);

}  // namespace tlspost::sim

#endif  // TLSPOST_TESTS_SIM_PLANS_H_
