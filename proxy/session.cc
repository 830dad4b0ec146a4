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
#include "common/smtp/envelope.h"
#include "common/smtp/reply.h"
#include "common/smtp/text.h"
#include "proxy/auth_exchange.h"
#include "proxy/client_handshake.h"
#include "proxy/transaction.h"

namespace tlspost {
namespace {

using smtp::Verb;
using std::chrono_literals::operator""s;

// After our last word the client gets this long to read it and close.
constexpr io::Duration kLingerTimeout = 2s;

}  // namespace

Session::Session(SessionServices& services, std::unique_ptr<io::Stream> stream,
                 bool implicit_tls)
    : services_(services),
      client_(std::move(stream), services.settings.line_length_limit,
              services.settings.command_timeout),
      implicit_tls_(implicit_tls),
      level_(services.policies.LevelFor(client_.stream().transport().peer())) {}

// Few locals here and in Converse: an idle client costs us their frames, and
// every temporary lives in them. What needs no waiting is in plain functions.
Task<void> Session::Run() {
  ++services_.counters.sessions;
  services_.log.Info(absl::StrFormat("connect from %s", Peer()));
  if (!implicit_tls_) Greet();
  absl::Status why = co_await Converse();
  state_.authentication.reset();  // and with it a backend connection
  co_await Leave(std::move(why));
  LogDisconnect();
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
      case Next::kMail:
        CO_TRY(co_await Transact());
        break;
      case Next::kQuit:
        co_return absl::OkStatus();
      case Next::kWait:
        CO_TRY(client_.Refill());
        if (client_.needs_flush()) {
          CO_TRY(co_await client_.Flush());
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
  client_.Say(smtp::Greeting(services_.settings.hostname, "tlspost"));
  deadline_ = services_.loop.Now() + services_.settings.command_timeout;
}

// Answers commands as long as that needs no waiting.
Session::Next Session::Proceed() {
  while (true) {
    if (implicit_tls_ && !in_tls()) return Next::kStartTls;
    if (TakesLeave()) return Next::kQuit;
    const std::optional<ClientChannel::Line> line = client_.TakeLine();
    if (!line.has_value()) return Next::kWait;
    // One deadline for a whole command, however slowly it drips in.
    deadline_ = services_.loop.Now() + services_.settings.command_timeout;
    if (line->too_long) {
      Refuse(Verb::kUnknown, smtp::reply::kLineTooLong);
      continue;
    }
    const smtp::Command command = smtp::ParseCommand(line->text);
    state_.last_verb = command.verb;
    const Next next = Answer(command);
    const bool awaited = next == Next::kMail || next == Next::kAuth;
    if (awaited) client_.PutBack(line->text);
    if (next != Next::kGoOn) return next;
    if (client_.must_flush()) return Next::kWait;
  }
}

// Whether it is not for the client to go on: it has been told so.
bool Session::TakesLeave() {
  const Settings& settings = services_.settings;
  const Authentication* authentication = state_.authentication.get();
  if (authentication != nullptr && authentication->lost()) {
    // Another backend connection would not know who the client is.
    if (!authentication->farewell_said()) {
      SayGoodbye(smtp::reply::kServiceUnavailable);
    }
    return true;
  }
  if (draining_) {
    SayGoodbye(smtp::reply::kShuttingDown);
    return true;
  }
  const bool too_many_tries =
      authentication != nullptr &&
      authentication->failures() >= settings.auth_error_limit;
  if (!too_many_tries && state_.errors < settings.hard_error_limit) {
    return false;
  }
  SayGoodbye(smtp::reply::kTooManyErrors);
  return true;
}

// What came from an idle client. An error: there is no client any more, or
// none that speaks SMTP.
absl::Status Session::Hear(absl::StatusOr<io::Chunk>&& received) {
  // Drain has woken us: the next round says 421.
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

// --- commands -------------------------------------------------------------

Session::Next Session::Answer(const smtp::Command& command) {
  const std::optional<smtp::Reply> refusal = smtp::RefuseByShape(command);
  if (refusal.has_value()) {
    Refuse(command.verb, *refusal);
    return command.verb == Verb::kForbidden ? Next::kQuit : Next::kGoOn;
  }
  const smtp::VerbInfo& info = smtp::InfoOf(command.verb);
  if (needs_tls() && !info.before_tls) {
    return Refuse(command.verb, smtp::reply::kMustStartTls);
  }
  if (info.junk && ++state_.junk > services_.settings.junk_command_limit) {
    ++state_.errors;
  }
  switch (command.verb) {
    case Verb::kEhlo:
    case Verb::kHelo:
      return AnswerHello(command);
    case Verb::kStartTls:
      return AnswerStartTls();
    case Verb::kMail:
      return AnswerMail(command);
    case Verb::kAuth:
      return AnswerAuth(command);
    case Verb::kRcpt:
    case Verb::kData:
      return Refuse(command.verb, smtp::reply::kNeedMail);
    case Verb::kRset:
    case Verb::kNoop:
      return Accept(command.verb, smtp::reply::kOk);
    case Verb::kVrfy:
      return Accept(command.verb, smtp::reply::kCannotVerify);
    case Verb::kHelp:
      return Accept(command.verb, smtp::reply::kHelp);
    case Verb::kQuit:
      Accept(command.verb, smtp::reply::kBye);
      return Next::kQuit;
    default:
      return Refuse(command.verb, smtp::reply::kNotImplemented);
  }
}

Session::Next Session::AnswerHello(const smtp::Command& command) {
  if (!smtp::ValidHelloName(command.argument)) {
    return Refuse(command.verb, smtp::reply::kBadHelloName);
  }
  state_.helo = std::string(command.argument);
  state_.esmtp = command.verb == Verb::kEhlo;
  state_.tally.Count(command.verb, true);
  const Settings& settings = services_.settings;
  client_.Say(state_.esmtp ? smtp::FormatEhloReply(settings.hostname, Offered(),
                                                   offers_tls(),
                                                   settings.message_size_limit)
                           : smtp::HeloReply(settings.hostname));
  return Next::kGoOn;
}

Session::Next Session::AnswerStartTls() {
  if (in_tls()) return Refuse(Verb::kStartTls, smtp::reply::kTlsAlreadyActive);
  if (!offers_tls()) {
    return Refuse(Verb::kStartTls, smtp::reply::kNotImplemented);
  }
  // RFC 3207 section 4.2: the client has seen the offer in a reply to EHLO.
  if (!state_.greeted()) {
    return Refuse(Verb::kStartTls, smtp::reply::kSendHello);
  }
  return Next::kStartTls;
}

Session::Next Session::AnswerMail(const smtp::Command& command) {
  if (!state_.greeted()) {
    // RFC 3207 section 4.2: after TLS the client says EHLO again.
    if (services_.settings.helo_required || in_tls()) {
      return Refuse(Verb::kMail, smtp::reply::kSendHello);
    }
    state_.helo = "unknown";
  }
  if (!has_required_certificate()) {
    return Refuse(Verb::kMail, smtp::reply::kNeedClientCertificate);
  }
  const smtp::ReplyOr<smtp::MailArguments> mail =
      smtp::ParseMail(command.argument);
  if (!mail.ok()) return Refuse(Verb::kMail, mail.refusal());
  const std::optional<smtp::Reply> refusal = smtp::RefuseMail(
      *mail, Capabilities(), services_.settings.message_size_limit);
  if (refusal.has_value()) return Refuse(Verb::kMail, *refusal);
  return Next::kMail;
}

// RFC 4954 section 4, in Postfix's order and words.
Session::Next Session::AnswerAuth(const smtp::Command& command) {
  if (!state_.greeted() || !state_.esmtp) {
    return Refuse(Verb::kAuth, smtp::reply::kAuthSendEhlo);
  }
  const std::string mechanisms = Mechanisms();
  if (mechanisms.empty()) {
    return Refuse(Verb::kAuth, smtp::reply::kAuthNotEnabled);
  }
  if (!may_authenticate()) {
    return Refuse(Verb::kAuth, smtp::reply::kAuthNeedsTls);
  }
  if (state_.authenticated()) {
    return Refuse(Verb::kAuth, smtp::reply::kAlreadyAuthenticated);
  }
  // Nor is a stranger's password tried at the backend.
  if (!has_required_certificate()) {
    return Refuse(Verb::kAuth, smtp::reply::kNeedClientCertificate);
  }
  const smtp::ReplyOr<smtp::AuthArguments> auth =
      smtp::ParseAuth(command.argument, mechanisms);
  if (!auth.ok()) return Refuse(Verb::kAuth, auth.refusal());
  return Next::kAuth;
}

Session::Next Session::Refuse(Verb verb, const smtp::Reply& reply) {
  state_.tally.Count(verb, false);
  ++state_.errors;
  Say(reply);
  return Next::kGoOn;
}

Session::Next Session::Accept(Verb verb, const smtp::Reply& reply) {
  state_.tally.Count(verb, true);
  Say(reply);
  return Next::kGoOn;
}

// Our own replies carry enhanced codes only where the backend's do too.
void Session::Say(const smtp::Reply& reply) {
  if (services_.pool.capabilities().has_value() &&
      !Capabilities().enhanced_status_codes) {
    client_.Say(smtp::WithoutEnhancedCodes(reply.text()));
  } else {
    client_.Say(reply.text());
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
  const std::optional<ClientChannel::Line> line = client_.TakeLine();
  TLSPOST_CHECK(line.has_value());  // Proceed has put it back
  const smtp::Command mail = smtp::ParseCommand(line->text);
  Transaction transaction(services_, client_, state_, mail.argument);
  absl::Status end = co_await transaction.Run();
  deadline_ = services_.loop.Now() + services_.settings.command_timeout;
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
  deadline_ = services_.loop.Now() + services_.settings.command_timeout;
  co_return end;
}

Task<absl::Status> Session::StartTls() {
  if (implicit_tls_) {
    absl::Status begun = co_await BeginWithTls();
    co_return begun;
  }
  // RFC 3207 section 4.2: nothing said before TLS counts after it. What came
  // behind STARTTLS may be an attacker's: it is neither executed nor taken for
  // TLS.
  const size_t dropped = client_.DiscardInput();
  if (dropped > 0) {
    ++services_.counters.starttls_injections;
    services_.log.Warning(absl::StrFormat(
        "%d octets of plaintext behind STARTTLS dropped from %s", dropped,
        Peer()));
  }
  if (dropped > 0 && services_.settings.forbid_unauth_pipelining) {
    Refuse(Verb::kStartTls, smtp::reply::kSynchronization);
    co_return absl::InvalidArgumentError("improper command pipelining");
  }
  const HandshakeLimit::Slot slot =
      services_.handshakes.Enter(client_.stream().transport().peer());
  if (!slot) {
    NoteHandshakeLimit();
    // Our own trouble is no error of the client's, unless it keeps asking.
    if (++state_.junk > services_.settings.junk_command_limit) ++state_.errors;
    state_.tally.Count(Verb::kStartTls, false);
    Say(smtp::reply::kTooManyHandshakes);
    co_return absl::OkStatus();
  }
  if (state_.authenticated()) state_.authentication->Forget();
  state_.helo.clear();
  state_.esmtp = false;
  client_.Say(smtp::reply::kReadyToStartTls.text());
  CO_TRY(co_await client_.Flush());
  absl::Status shaken =
      co_await ShakeHands(services_, client_, TlsStart::kStartTls);
  state_.tally.Count(Verb::kStartTls, shaken.ok());
  deadline_ = services_.loop.Now() + services_.settings.command_timeout;
  co_return shaken;
}

Task<absl::Status> Session::BeginWithTls() {
  const HandshakeLimit::Slot slot =
      services_.handshakes.Enter(client_.stream().transport().peer());
  if (!slot) NoteHandshakeLimit();
  // Words in plaintext mean nothing here: it is closed.
  if (!slot || draining_ || services_.tls == nullptr) {
    co_return absl::UnavailableError("no TLS");
  }
  absl::Status shaken =
      co_await ShakeHands(services_, client_, TlsStart::kImplicit);
  if (shaken.ok()) Greet();
  co_return shaken;
}

void Session::NoteHandshakeLimit() {
  ++services_.counters.handshakes_refused;
  services_.log.Warning(absl::StrFormat(
      "too many TLS handshakes under way, %s is turned away", Peer()));
}

Task<void> Session::Leave(absl::Status why) {
  if (!why.ok()) LogEnd(why);
  if (absl::IsDeadlineExceeded(why) && !failed_handshake()) {
    SayGoodbye(smtp::reply::kTimeout);
  }
  // After a failed handshake there is nobody to talk to in plaintext.
  const bool can_talk = !failed_handshake() && !absl::IsUnavailable(why) &&
                        !absl::IsDataLoss(why);
  if (!can_talk) co_return;
  const absl::Status flushed = co_await client_.Flush();
  if (!flushed.ok()) co_return;
  const io::Time deadline = services_.loop.Now() + kLingerTimeout;
  co_await client_.stream().Linger(deadline);
}

void Session::Drain() {
  draining_ = true;
  if (idle_) client_.Interrupt();
}

// --- facts and words ------------------------------------------------------

bool Session::in_tls() const { return client_.stream().engine() != nullptr; }

bool Session::failed_handshake() const {
  const tls::TlsEngine* engine = client_.stream().engine();
  return engine != nullptr && !engine->established();
}

bool Session::offers_tls() const {
  return services_.tls != nullptr && level_ != TlsSecurityLevel::kNone &&
         !in_tls();
}

bool Session::needs_tls() const {
  return level_ == TlsSecurityLevel::kEncrypt && !in_tls();
}

bool Session::has_required_certificate() const {
  const bool tls_is_mandatory =
      implicit_tls_ || level_ == TlsSecurityLevel::kEncrypt;
  return HasRequiredCertificate(services_, client_, tls_is_mandatory);
}

bool Session::may_authenticate() const {
  return in_tls() || !services_.settings.tls_auth_only;
}

const smtp::EhloCapabilities& Session::Capabilities() const {
  static const smtp::EhloCapabilities kMinimum = smtp::MinimumCapabilities();
  const auto& known = services_.pool.capabilities();
  return known.has_value() ? *known : kMinimum;
}

smtp::EhloCapabilities Session::Offered() const {
  smtp::EhloCapabilities offered = Capabilities();
  // To a backend without it a group goes command by command.
  offered.pipelining = true;
  const bool offers_auth = services_.settings.sasl_auth_enable &&
                           may_authenticate() && !state_.authenticated() &&
                           has_required_certificate();
  if (!offers_auth) offered.auth.clear();
  return offered;
}

// What AUTH may name; empty: there is no AUTH.
std::string Session::Mechanisms() const {
  if (!services_.settings.sasl_auth_enable) return {};
  return smtp::OfferedMechanisms(Capabilities().auth);
}

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

void Session::LogDisconnect() const {
  services_.log.Info(
      absl::StrFormat("disconnect from %s %s", Peer(), state_.tally.Summary()));
}

}  // namespace tlspost
