// What comes of a client's conduct: its errors, its junk commands, and how
// often it does a thing (Postfix's soft and hard error limits and rates).
//
// The counts of one session are in ClientState, those of all its sessions in
// ClientLimits. Here they are raised, compared with what is set (and with
// what is set for overload mode), and put into the log in Postfix's words.

#ifndef TLSPOST_PROXY_CLIENT_CONDUCT_H_
#define TLSPOST_PROXY_CLIENT_CONDUCT_H_

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/base/task.h"
#include "common/smtp/command.h"
#include "proxy/client_channel.h"
#include "proxy/client_limits.h"
#include "proxy/session_services.h"

namespace tlspost {

// --- errors -----------------------------------------------------------------

// A command was refused.
void NoteError(SessionServices& services, ClientState& state);
// A command that brings no mail nearer: beyond junk_command_limit an error.
void NoteJunk(SessionServices& services, ClientState& state);
// A message was taken: what was before it is forgiven.
void NoteMessage(ClientState& state);

// Whether the client has to go (hard_error_limit, client_error_rate_limit).
bool HasTooManyErrors(const SessionServices& services,
                      const ClientState& state);
// Whether each of its replies is late now (soft_error_limit).
bool IsSlowedDown(const SessionServices& services, const ClientState& state);

inline constexpr io::Duration kLongestDelayOfAHolder = std::chrono::seconds(1);
// Sends what was said to the client, late if it has made many errors: then it
// waits without a thread and without a receive buffer, and no longer than
// until a drain. Who holds a backend connection waits for
// kLongestDelayOfAHolder at most, and not at all while others wait for one.
// Errors: the client is lost.
Task<absl::Status> SendReplies(SessionServices& services, ClientChannel& client,
                               const ClientState& state, bool holds_connection);

// A command was answered: it counts for the session and for the worker.
void CountCommand(SessionServices& services, ClientState& state,
                  smtp::Verb verb, bool success);

// A refusal that the client hears, for the administrator to look at. Of the
// reply only the first line is kept.
void NoteRefusal(SessionServices& services, const ClientState& state,
                 const ClientChannel& client, smtp::Verb verb,
                 std::string_view reply);

// --- rates ------------------------------------------------------------------

// Counts one event. Beyond its rate it is logged, and the refusal to send is
// returned.
std::optional<std::string> CountEvent(SessionServices& services,
                                      ClientState& state,
                                      const ClientChannel& client,
                                      ClientEvent event);

// Before a handshake: the refusal if another new TLS session would be one too
// many, logged as Postfix does.
std::optional<std::string> RefuseHandshake(SessionServices& services,
                                           const ClientState& state,
                                           const ClientChannel& client);

// The limit that has turned a client away.
Limit LimitOf(const ClientLimits::Arrival& arrival);

// What a client is told that is not let in, `host` in it; logged and counted.
std::string TurnAwayWords(const ClientLimits::Arrival& arrival,
                          const io::Stream& stream, const Settings& settings,
                          Log& log);

// --- overload ---------------------------------------------------------------

// command_timeout as it is now.
io::Duration CommandTimeout(const SessionServices& services);

// tls_handshake_timeout as it is now: those who are silent must not keep all
// places for long.
io::Duration HandshakeTime(const SessionServices& services);

// Until when a client that holds a backend connection may say nothing before it
// is looked whether others wait for one: `deadline`, or earlier.
io::Time HoldersDeadline(const SessionServices& services, io::Time deadline);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_CLIENT_CONDUCT_H_
