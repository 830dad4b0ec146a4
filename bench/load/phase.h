// What is measured: the phases of a session, one table for all results.

#ifndef TLSPOST_BENCH_LOAD_PHASE_H_
#define TLSPOST_BENCH_LOAD_PHASE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tlspost::load {

// Each from the first octet written to the reply's last octet read, but for
// what is said here.
enum class Phase : uint8_t {
  kConnect,    // TCP
  kGreeting,   // from the end of kConnect, or of an implicit handshake
  kEhlo,       // both, with STARTTLS
  kStartTls,   // the command
  kHandshake,  // the client's own computing included
  kNoop,
  kMail,  // where they are pipelined, each from the group's write
  kRcpt,
  kData,
  kContent,  // from the message's first octet to the reply to its end
  kQuit,
  kMessage,  // MAIL to the last reply; open loop: from when it was due
  kSession,  // connect to QUIT's reply; open loop: from when it was due
};
inline constexpr size_t kPhases = 13;

inline constexpr std::array<std::string_view, kPhases> kPhaseNames = {
    "connect", "greeting", "ehlo",    "starttls", "handshake", "noop",   "mail",
    "rcpt",    "data",     "content", "quit",     "message",   "session"};

}  // namespace tlspost::load

#endif  // TLSPOST_BENCH_LOAD_PHASE_H_
