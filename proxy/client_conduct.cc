// Errors, junk and rates of clients.

#include "proxy/client_conduct.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/smtp/reply.h"

namespace tlspost {
namespace {

// Postfix names the service of master.cf here; log watchers look for "smtp".
constexpr std::string_view kService = "smtp";

// How Postfix's log calls what is too much.
constexpr std::array<std::string_view, kClientEvents> kEventNames = {
    "Connection",        "Message delivery request",
    "Recipient address", "New TLS session",
    "AUTH command",      "Error"};

const smtp::Reply& RefusalOf(ClientEvent event) {
  switch (event) {
    case ClientEvent::kConnection:
      return smtp::reply::kTooManyConnections;
    case ClientEvent::kMessage:
      return smtp::reply::kTooMuchMail;
    case ClientEvent::kRecipient:
      return smtp::reply::kTooManyRecipientsRate;
    case ClientEvent::kNewTlsSession:
      return smtp::reply::kTooManyTlsSessionsBye;
    case ClientEvent::kAuth:
      return smtp::reply::kTooManyAuths;
    case ClientEvent::kError:
      return smtp::reply::kTooManyErrors;
  }
  return smtp::reply::kTooManyErrors;
}

std::string RefusalWords(ClientEvent event, const io::Stream& stream,
                         const Settings& settings) {
  const smtp::Reply& reply = RefusalOf(event);
  // A 421 names the host that takes its leave.
  std::string text = reply.code() == 421
                         ? smtp::WithHost(reply, settings.hostname)
                         : std::string(reply.text());
  const bool by_name = event == ClientEvent::kNewTlsSession;  // as in Postfix
  return smtp::FromClient(std::move(text),
                          by_name ? LogName(stream) : stream.peer().Address());
}

Limit LimitOf(ClientEvent event) {
  switch (event) {
    case ClientEvent::kConnection:
      return Limit::kClientConnectionRate;
    case ClientEvent::kMessage:
      return Limit::kClientMessageRate;
    case ClientEvent::kRecipient:
      return Limit::kClientRecipientRate;
    case ClientEvent::kNewTlsSession:
      return Limit::kClientNewTlsSessionRate;
    case ClientEvent::kAuth:
      return Limit::kClientAuthRate;
    case ClientEvent::kError:
      return Limit::kClientErrorRate;
  }
  return Limit::kClientErrorRate;
}

void LogRate(Log& log, ClientEvent event, int count, const io::Stream& stream) {
  log.Warning(
      absl::StrFormat("%s rate limit exceeded: %d from %s for service %s",
                      kEventNames[static_cast<size_t>(event)], count,
                      LogName(stream), kService));
}

void Increase(uint16_t& count) {
  if (count < std::numeric_limits<uint16_t>::max()) ++count;
}

int HardErrorLimit(const SessionServices& services) {
  const Settings& settings = services.settings;
  if (!services.overloaded) return settings.hard_error_limit;
  return std::min(settings.hard_error_limit, settings.stress_hard_error_limit);
}

int JunkLimit(const SessionServices& services) {
  const Settings& settings = services.settings;
  if (!services.overloaded) return settings.junk_command_limit;
  return std::min(settings.junk_command_limit,
                  settings.stress_junk_command_limit);
}

}  // namespace

void NoteError(SessionServices& services, ClientState& state) {
  Increase(state.errors);
  const int count = state.visit.Count(ClientEvent::kError, services.loop.Now());
  if (count > 0) state.unwelcome = true;
}

void NoteJunk(SessionServices& services, ClientState& state) {
  Increase(state.junk);
  if (state.junk > JunkLimit(services)) NoteError(services, state);
}

void NoteMessage(ClientState& state) {
  state.errors = 0;
  state.junk = 0;
}

bool HasTooManyErrors(const SessionServices& services,
                      const ClientState& state) {
  return state.unwelcome || state.errors >= HardErrorLimit(services);
}

bool IsSlowedDown(const SessionServices& services, const ClientState& state) {
  const Settings& settings = services.settings;
  return state.errors >= settings.soft_error_limit &&
         settings.error_sleep_time > Settings::Duration(0) &&
         !services.draining;
}

Task<absl::Status> SendReplies(SessionServices& services, ClientChannel& client,
                               const ClientState& state,
                               bool holds_connection) {
  const bool others_wait = holds_connection && services.pool.waiting() > 0;
  const bool late =
      IsSlowedDown(services, state) && client.needs_flush() && !others_wait;
  if (late) {
    ++services.counters.replies_delayed;
    ++services.counters.limits_hit[Limit::kSoftError];
    client.Park();
    const io::Duration delay = services.settings.error_sleep_time;
    const io::Time until =
        services.loop.Now() +
        (holds_connection ? std::min(delay, kLongestDelayOfAHolder) : delay);
    // However it ends, by the time or by a drain, it is time to speak.
    const absl::Status woken = co_await services.delays.Wait(until);
    TLSPOST_CHECK(!woken.ok());
  }
  absl::Status sent = co_await client.Flush();
  co_return sent;
}

void CountCommand(SessionServices& services, ClientState& state,
                  smtp::Verb verb, bool success) {
  state.tally.Count(verb, success);
  ++services.counters.client_commands.at(CommandTally::IndexOf(verb),
                                         success ? 0 : 1);
}

void NoteRefusal(SessionServices& services, const ClientState& state,
                 const ClientChannel& client, smtp::Verb verb,
                 std::string_view reply) {
  services.records.refusals.Note(services.loop.WallNow(),
                                 client.stream().transport().peer().Address(),
                                 state.helo, smtp::InfoOf(verb).name, reply);
}

Limit LimitOf(const ClientLimits::Arrival& arrival) {
  switch (arrival.verdict) {
    case ClientLimits::Verdict::kTooOften:
      return Limit::kClientConnectionRate;
    case ClientLimits::Verdict::kTooManyErrors:
      return Limit::kClientErrorRate;
    default:
      return Limit::kClientConnectionCount;
  }
}

std::optional<std::string> CountEvent(SessionServices& services,
                                      ClientState& state,
                                      const ClientChannel& client,
                                      ClientEvent event) {
  const int count = state.visit.Count(event, services.loop.Now());
  if (count == 0) return std::nullopt;
  ++services.counters.rate_refusals;
  ++services.counters.limits_hit[LimitOf(event)];
  const io::Stream& stream = client.stream().transport();
  LogRate(services.log, event, count, stream);
  return RefusalWords(event, stream, services.settings);
}

std::optional<std::string> RefuseHandshake(SessionServices& services,
                                           const ClientState& state,
                                           const ClientChannel& client) {
  const int next =
      state.visit.CountNext(ClientEvent::kNewTlsSession, services.loop.Now());
  if (next == 0) return std::nullopt;
  ++services.counters.rate_refusals;
  ++services.counters.limits_hit[Limit::kClientNewTlsSessionRate];
  const io::Stream& stream = client.stream().transport();
  services.log.Warning(
      absl::StrFormat("Refusing STARTTLS request from %s for service %s",
                      LogName(stream), kService));
  return smtp::FromClient(std::string(smtp::reply::kTooManyTlsSessions.text()),
                          LogName(stream));
}

std::string TurnAwayWords(const ClientLimits::Arrival& arrival,
                          const io::Stream& stream, const Settings& settings,
                          Log& log) {
  ClientEvent event = ClientEvent::kConnection;
  switch (arrival.verdict) {
    case ClientLimits::Verdict::kWelcome:
    case ClientLimits::Verdict::kTooManyConnections:
      log.Warning(absl::StrFormat(
          "Connection concurrency limit exceeded: %d from %s for service %s",
          arrival.count, LogName(stream), kService));
      break;
    case ClientLimits::Verdict::kTooOften:
      LogRate(log, event, arrival.count, stream);
      break;
    case ClientLimits::Verdict::kTooManyErrors:
      event = ClientEvent::kError;
      LogRate(log, event, arrival.count, stream);
      break;
  }
  return RefusalWords(event, stream, settings);
}

io::Duration CommandTimeout(const SessionServices& services) {
  const Settings& settings = services.settings;
  if (!services.overloaded) return settings.command_timeout;
  return std::min(settings.command_timeout, settings.stress_command_timeout);
}

io::Duration HandshakeTime(const SessionServices& services) {
  const Settings& settings = services.settings;
  const bool is_short =
      settings.stress_percent > 0 && services.handshakes.is_crowded();
  if (!is_short) return settings.tls_handshake_timeout;
  return std::min(settings.tls_handshake_timeout,
                  settings.stress_command_timeout);
}

io::Time HoldersDeadline(const SessionServices& services, io::Time deadline) {
  const Settings& settings = services.settings;
  if (settings.stress_percent == 0) return deadline;
  return std::min(deadline,
                  services.loop.Now() + settings.stress_command_timeout);
}

}  // namespace tlspost
