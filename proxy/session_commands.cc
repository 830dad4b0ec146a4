// What the session answers to each command by itself, in plain functions; the
// commands that need waiting are only looked at here.

#include <optional>

#include "common/smtp/auth.h"
#include "common/smtp/capabilities.h"
#include "common/smtp/envelope.h"
#include "common/smtp/reply.h"
#include "common/smtp/text.h"
#include "proxy/client_conduct.h"
#include "proxy/session.h"

namespace tlspost {

namespace {

using smtp::Verb;

// RFC 9422 section 3: what is announced is kept to. How many transactions a
// connection to the backend may have is the pool's affair, not the client's.
void CutLimits(const Settings& settings, smtp::AnnouncedLimits& limits) {
  limits.mails.reset();
  limits.recipients =
      smtp::SmallerLimit(limits.recipients.value_or(0),
                         static_cast<uint64_t>(settings.recipient_limit));
}

}  // namespace

Session::Next Session::Answer(const smtp::Command& command) {
  // Whatever is wrong with it, its chunk comes first.
  if (command.verb == Verb::kBdat) return Next::kBdat;
  const std::optional<smtp::Reply> refusal = smtp::RefuseByShape(command);
  if (refusal.has_value()) {
    Refuse(command.verb, *refusal);
    return command.verb == Verb::kForbidden ? Next::kQuit : Next::kGoOn;
  }
  const smtp::VerbInfo& info = smtp::InfoOf(command.verb);
  if (needs_tls() && !info.before_tls) {
    return Refuse(command.verb, smtp::reply::kMustStartTls);
  }
  if (info.junk) NoteJunk(services_, state_);
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
      return AnswerVrfy();
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
  CountCommand(services_, state_, command.verb, true);
  const Settings& settings = services_.settings;
  if (!state_.esmtp) {
    state_.offered = 0;
    client_.Say(smtp::HeloReply(settings.hostname));
    return Next::kGoOn;
  }
  const smtp::EhloCapabilities offered = Offered();
  state_.offered = smtp::OptionsOf(offered);
  client_.Say(smtp::FormatEhloReply(settings.hostname, offered, offers_tls(),
                                    settings.message_size_limit));
  return Next::kGoOn;
}

Session::Next Session::AnswerVrfy() {
  const smtp::Reply& reply = VrfyReply(services_.settings);
  return reply == smtp::reply::kCannotVerify ? Accept(Verb::kVrfy, reply)
                                             : Refuse(Verb::kVrfy, reply);
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
  const std::optional<std::string> too_many =
      RefuseHandshake(services_, state_, client_);
  if (too_many.has_value()) return RefuseRate(Verb::kStartTls, *too_many);
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
  const std::optional<smtp::Reply> refusal =
      smtp::RefuseMail(*mail, Capabilities(),
                       services_.settings.message_size_limit, state_.offered);
  if (refusal.has_value()) return Refuse(Verb::kMail, *refusal);
  const std::optional<std::string> too_much =
      CountEvent(services_, state_, client_, ClientEvent::kMessage);
  if (too_much.has_value()) return RefuseRate(Verb::kMail, *too_much);
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
  const std::optional<std::string> too_many =
      CountEvent(services_, state_, client_, ClientEvent::kAuth);
  if (too_many.has_value()) return RefuseRate(Verb::kAuth, *too_many);
  return Next::kAuth;
}

Session::Next Session::Refuse(Verb verb, const smtp::Reply& reply) {
  return RefuseRate(verb, reply.text());
}

// The words name the client.
Session::Next Session::RefuseRate(Verb verb, std::string_view reply) {
  CountCommand(services_, state_, verb, false);
  NoteError(services_, state_);
  NoteRefusal(services_, state_, client_, verb, reply);
  Say(reply);
  return Next::kGoOn;
}

Session::Next Session::Accept(Verb verb, const smtp::Reply& reply) {
  CountCommand(services_, state_, verb, true);
  Say(reply);
  return Next::kGoOn;
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
  const Settings& settings = services_.settings;
  // To a backend without it a group goes command by command.
  offered.pipelining = true;
  if (settings.disable_vrfy_command) offered.vrfy = false;
  if (offered.limits.has_value()) CutLimits(settings, *offered.limits);
  const bool offers_auth = services_.settings.sasl_auth_enable &&
                           may_authenticate() && !state_.authenticated() &&
                           has_required_certificate();
  if (!offers_auth) offered.auth.clear();
  for (const std::string& keyword : settings.discard_ehlo_keywords) {
    smtp::Discard(keyword, offered);
  }
  return offered;
}

// What AUTH may name; empty: there is no AUTH.
std::string Session::Mechanisms() const {
  if (!services_.settings.sasl_auth_enable) return {};
  return smtp::OfferedMechanisms(Capabilities().auth);
}

}  // namespace tlspost
