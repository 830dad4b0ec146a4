// The conversation with a client, top to bottom.

#include "proxy/session.h"

#include <chrono>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/base/co_try.h"
#include "common/base/status.h"
#include "common/smtp/auth.h"
#include "common/smtp/capabilities.h"
#include "common/smtp/reply.h"
#include "common/smtp/text.h"
#include "proxy/auth_exchange.h"
#include "proxy/client_conduct.h"
#include "proxy/transaction.h"

namespace tlspost {
namespace {

using smtp::Verb;
using std::chrono_literals::operator""s;

// After our last word the client gets this long to read it and close.
constexpr io::Duration kLingerTimeout = 2s;

}  // namespace

Session::Session(SessionServices& services, std::unique_ptr<io::Stream> stream,
                 bool implicit_tls, ClientLimits::Visit visit)
    : services_(services),
      client_(std::move(stream), services.settings.line_length_limit,
              services.channel),
      implicit_tls_(implicit_tls),
      level_(services.policies.LevelFor(client_.stream().transport().peer())),
      started_ms_(MillisecondsOf(services.loop.Now())) {
  state_.visit = std::move(visit);
}

// Few locals here and in Converse: an idle client costs us their frames, and
// every temporary lives in them. What needs no waiting is in plain functions.
Task<void> Session::Run() {
  if (!services_.log.takes_records()) {
    services_.log.Info(absl::StrFormat("connect from %s", Peer()));
  }
  client_.TraceEvent("connected");
  if (!implicit_tls_) Greet();
  absl::Status why = co_await Converse();
  // And with these the client's own backend connections.
  state_.authentication.reset();
  state_.bound.reset();
  co_await Leave(std::move(why));
  LogDisconnect();
  CountAlerts();
  if (!failed_handshake()) NoteSender(state_.helo);
}

// OK: we have said our last word. An error: the client went, or must go.
Task<absl::Status> Session::Converse() {
  while (true) {
    switch (Proceed()) {
      case Next::kGoOn:
        break;
      case Next::kStartTls:
        CO_TRY(co_await StartTls());
        break;
      case Next::kAuth:
      case Next::kBdat:
      case Next::kMail:
        CO_TRY(co_await Transact());
        break;
      case Next::kQuit:
        co_return absl::OkStatus();
      case Next::kWait:
        CO_TRY(client_.Refill());
        if (client_.needs_flush()) {
          CO_TRY(co_await SendReplies(services_, client_, state_, false));
          break;  // much may have happened meanwhile
        }
        if (!client_.unread().empty()) break;
        idle_ = true;
        auto received = co_await client_.Receive(deadline_);
        idle_ = false;
        CO_TRY(Hear(std::move(received)));
        break;
    }
  }
}

void Session::Greet() {
  const std::string& mark = services_.pool.own_mark();
  client_.Say(smtp::Greeting(services_.settings.hostname,
                             mark.empty() ? "tlspost" : "tlspost " + mark));
  deadline_ = services_.loop.Now() + CommandTimeout(services_);
}

// Answers commands as long as that needs no waiting.
Session::Next Session::Proceed() {
  while (true) {
    if (implicit_tls_ && !in_tls()) return Next::kStartTls;
    if (TakesLeave()) return Next::kQuit;
    const std::optional<ClientChannel::Line> line = client_.TakeLine();
    if (!line.has_value()) return Next::kWait;
    // One deadline for a whole command, however slowly it drips in.
    deadline_ = services_.loop.Now() + CommandTimeout(services_);
    if (line->is_lost()) {
      ++services_.counters.limits_hit[Limit::kLineLength];
      Refuse(Verb::kUnknown, smtp::reply::kLineTooLong);
      continue;
    }
    const smtp::Command command = smtp::ParseCommand(line->text);
    state_.last_verb = command.verb;
    const Next next = Answer(command);
    const bool awaited =
        next == Next::kMail || next == Next::kAuth || next == Next::kBdat;
    if (awaited) client_.PutBack(line->text);
    if (next != Next::kGoOn) return next;
    // A client that is slowed down waits for each reply by itself.
    const bool slowed = IsSlowedDown(services_, state_);
    if (client_.must_flush() || slowed) return Next::kWait;
  }
}

// Whether it is not for the client to go on: it has been told so.
bool Session::TakesLeave() {
  if (state_.farewell_said) return true;
  const Settings& settings = services_.settings;
  const Authentication* authentication = state_.authentication.get();
  if (authentication != nullptr && authentication->lost()) {
    // Another backend connection would not know who the client is.
    if (!authentication->farewell_said()) {
      SayGoodbye(smtp::reply::kServiceUnavailable);
    }
    return true;
  }
  if (draining_ || (leaves_behind_mail_ && had_mail_)) {
    SayGoodbye(smtp::reply::kShuttingDown);
    return true;
  }
  const bool too_many_tries =
      authentication != nullptr &&
      authentication->failures() >= settings.auth_error_limit;
  if (!too_many_tries && !HasTooManyErrors(services_, state_)) return false;
  ++services_.counters
        .limits_hit[too_many_tries ? Limit::kAuthError : Limit::kHardError];
  SayGoodbye(smtp::reply::kTooManyErrors);
  return true;
}

// What came from an idle client. An error: there is no client any more, or
// none that speaks SMTP.
absl::Status Session::Hear(absl::StatusOr<io::Chunk>&& received) {
  // Drain has woken us: the next round says 421. Or Hurry has.
  if (absl::IsAborted(received.status())) return absl::OkStatus();
  const absl::Status accepted = client_.Accept(std::move(received));
  if (!accepted.ok()) return accepted;
  if (!heard_ && smtp::LooksLikeTlsHandshake(client_.unread())) {
    return absl::InvalidArgumentError(
        "TLS on a STARTTLS port: the client expects TLS from the start, as on "
        "port 465");
  }
  heard_ = true;
  return absl::OkStatus();
}

// Our own replies carry enhanced codes only where the backend's do too.
void Session::Say(std::string_view reply) {
  if (services_.pool.capabilities().has_value() &&
      !Capabilities().enhanced_status_codes) {
    client_.Say(smtp::WithoutEnhancedCodes(reply));
  } else {
    client_.Say(reply);
  }
}

void Session::SayGoodbye(const smtp::Reply& reply) {
  client_.Say(smtp::WithHost(reply, services_.settings.hostname));
}

// --- the parts that wait --------------------------------------------------

Task<absl::Status> Session::Transact() {
  if (state_.last_verb == Verb::kAuth) {
    absl::Status answered = co_await Authenticate();
    co_return answered;
  }
  if (state_.last_verb == Verb::kBdat) {
    absl::Status refused = co_await RefuseChunk();
    co_return refused;
  }
  const std::optional<ClientChannel::Line> line = client_.TakeLine();
  TLSPOST_CHECK(line.has_value());  // Proceed has put it back
  const smtp::Command mail = smtp::ParseCommand(line->text);
  had_mail_ = true;
  Transaction transaction(services_, client_, state_, mail.argument);
  absl::Status end = co_await transaction.Run();
  deadline_ = services_.loop.Now() + CommandTimeout(services_);
  co_return end;
}

Task<absl::Status> Session::Authenticate() {
  const std::optional<ClientChannel::Line> line = client_.TakeLine();
  TLSPOST_CHECK(line.has_value());
  const smtp::Command command = smtp::ParseCommand(line->text);
  const smtp::ReplyOr<smtp::AuthArguments> arguments =
      smtp::ParseAuth(command.argument, Mechanisms());
  TLSPOST_CHECK(arguments.ok());  // AnswerAuth has seen it
  AuthExchange exchange(services_, client_, state_, *arguments);
  client_.WipePutBack();
  absl::Status end = co_await exchange.Run();
  deadline_ = services_.loop.Now() + CommandTimeout(services_);
  co_return end;
}

Task<void> Session::Leave(absl::Status why) {
  if (!why.ok()) LogEnd(why);
  // After a failed handshake there is nobody to talk to in plaintext.
  const bool can_talk = !failed_handshake() && !client_.cannot_hear() &&
                        !absl::IsUnavailable(why) && !absl::IsDataLoss(why);
  if (!can_talk) co_return;
  if (absl::IsDeadlineExceeded(why)) {
    const bool in_message =
        state_.last_verb == Verb::kData || state_.last_verb == Verb::kBdat;
    // The message's own time has been counted.
    if (!in_message) ++services_.counters.limits_hit[Limit::kCommandTimeout];
    SayGoodbye(smtp::reply::kTimeout);
  }
  client_.ForgetInput();
  const absl::Status flushed = co_await client_.Flush();
  if (!flushed.ok()) co_return;
  const io::Time deadline = services_.loop.Now() + kLingerTimeout;
  co_await client_.stream().Linger(deadline);
}

void Session::Drain(Leaving when) {
  if (when == Leaving::kNow) {
    draining_ = true;
  } else {
    leaves_behind_mail_ = true;
  }
  if (idle_) client_.Interrupt();
}

void Session::Hurry() {
  if (!idle_) return;
  const io::Time soon = services_.loop.Now() + CommandTimeout(services_);
  if (soon >= deadline_) return;
  deadline_ = soon;
  client_.Interrupt();  // the wait begins again, with this deadline
}

// --- the log --------------------------------------------------------------

void Session::LogEnd(const absl::Status& why) const {
  const std::string_view name = smtp::InfoOf(state_.last_verb).name;
  const std::string_view after = name.empty() ? "CONNECT" : name;
  if (absl::IsDeadlineExceeded(why)) {
    services_.log.Info(
        absl::StrFormat("timeout after %s from %s", after, Peer()));
    return;
  }
  if (absl::IsInvalidArgument(why) && !failed_handshake()) {
    services_.log.Info(absl::StrFormat("%s: %s", Peer(), MessageOf(why)));
  }
  services_.log.Info(
      absl::StrFormat("lost connection after %s from %s", after, Peer()));
}

}  // namespace tlspost
