// What a backend is made to do wrong.

#include "tests/sim/misdeeds.h"

#include <memory>
#include <optional>
#include <utility>

namespace tlspost::sim {

using Misdeed = SinkMta::Misdeed;

Misdeed Says(std::string reply, bool close) {
  Misdeed misdeed;
  misdeed.reply = std::move(reply);
  misdeed.close = close;
  return misdeed;
}

Misdeed Delays(io::Duration delay) {
  Misdeed misdeed;
  misdeed.delay = delay;
  misdeed.normal = true;
  return misdeed;
}

SinkMta::Mischief At(std::string_view verb, Misdeed misdeed) {
  return [=](const SinkMta::Event& event) -> std::optional<Misdeed> {
    if (event.verb != verb) return std::nullopt;
    return misdeed;
  };
}

SinkMta::Mischief At(std::string_view verb, int nth, Misdeed misdeed) {
  auto count = std::make_shared<int>(0);
  return [=](const SinkMta::Event& event) -> std::optional<Misdeed> {
    if (event.verb != verb || (*count)++ != nth) return std::nullopt;
    return misdeed;
  };
}

}  // namespace tlspost::sim
