// Plays the talk and the mail behind it.

#include "tests/sim/talk.h"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <utility>

#include "tests/sim/faults.h"

namespace tlspost::sim {

using std::chrono_literals::operator""s;

Heard Talk(WorldOptions options, std::string bytes, int replies) {
  return Talk(std::move(options), {{std::move(bytes), replies}});
}

Heard Talk(WorldOptions options, std::vector<RawStep> steps) {
  options.settings.backend_max_connections = 1;
  World world(std::move(options));
  ClientPlan talker = MakeClient(0, 0);
  talker.start_after = 1s;
  talker.raw = std::move(steps);
  world.AddClient(std::move(talker));
  ClientPlan other = MakeClient(1, 1);
  other.start_after = 2s;
  world.AddClient(std::move(other));
  EXPECT_EQ(world.Run(), "");
  ExpectAllSent(world.client(1));
  Heard heard;
  const std::vector<std::string>& replies = world.client(0).replies();
  if (replies.size() > 1) heard.ehlo = replies[1];
  for (size_t i = 2; i < replies.size(); ++i) {
    heard.replies.push_back(replies[i]);
    heard.codes += (i > 2 ? " " : "") + replies[i].substr(0, 3);
  }
  heard.backend = world.backend_dialogue();
  heard.log = world.log();
  return heard;
}

SinkMta::Mischief Answering(std::string_view verb, std::string_view words,
                            std::string reply) {
  return [=](const SinkMta::Event& event) -> std::optional<SinkMta::Misdeed> {
    if (event.verb != verb ||
        event.line.find(words) == std::string_view::npos) {
      return std::nullopt;
    }
    SinkMta::Misdeed misdeed;
    misdeed.reply = reply;
    return misdeed;
  };
}

}  // namespace tlspost::sim
