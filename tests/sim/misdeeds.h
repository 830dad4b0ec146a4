// What a backend is made to do wrong, and when; kinds of backends.

#ifndef TLSPOST_TESTS_SIM_MISDEEDS_H_
#define TLSPOST_TESTS_SIM_MISDEEDS_H_

#include <string>
#include <string_view>

#include "common/io/time.h"
#include "proxy/demo/sink_mta.h"

namespace tlspost::sim {

inline constexpr SinkMta::Xclient kXclients[] = {
    SinkMta::Xclient::kNone, SinkMta::Xclient::kMany, SinkMta::Xclient::kOnce};

// Says that instead of its own reply.
SinkMta::Misdeed Says(std::string reply, bool close = false);
// Says its own reply, but late.
SinkMta::Misdeed Delays(io::Duration delay);

// Misbehaves at each event of that verb.
SinkMta::Mischief At(std::string_view verb, SinkMta::Misdeed misdeed);
// Misbehaves at the `nth` event of that verb, counted from 0.
SinkMta::Mischief At(std::string_view verb, int nth, SinkMta::Misdeed misdeed);

}  // namespace tlspost::sim

#endif  // TLSPOST_TESTS_SIM_MISDEEDS_H_
