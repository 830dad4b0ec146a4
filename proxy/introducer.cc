// XCLIENT and XFORWARD, and what backends answer to them.

#include "proxy/introducer.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/smtp/reply.h"
#include "common/smtp/text.h"

namespace tlspost {
namespace {

// Postfix's words when it is not for us to say who a client is.
bool DeniesTheRight(const BackendReply& reply) {
  return reply.code == 550 && reply.text.find("5.7.0") != std::string::npos;
}

}  // namespace

Introducer::Introducer(io::Loop& loop, std::shared_ptr<const Settings> settings,
                       BackendNotes& notes, Log& log, Counters& counters)
    : loop_(loop),
      settings_(std::move(settings)),
      notes_(notes),
      log_(log),
      counters_(counters) {}

// --- who may use what -------------------------------------------------------

bool Introducer::TakesXclient(const Backend& backend) const {
  const bool wanted = settings_->backend_identity == BackendIdentity::kAuto ||
                      settings_->backend_identity == BackendIdentity::kXclient;
  return wanted &&
         backend.capabilities().xclient.Has(smtp::ClientAttribute::kAddress);
}

bool Introducer::Carries(const Backend& backend,
                         const smtp::ClientIdentity& identity) const {
  return (opens_per_client() || TakesXclient(backend)) &&
         backend.identity() == identity;
}

bool Introducer::MayCarry(const Backend& backend,
                          const smtp::ClientIdentity& identity) const {
  return Carries(backend, identity) || MayCarryAnyone(backend);
}

bool Introducer::MayCarryAnyone(const Backend& backend) const {
  if (opens_per_client()) return false;
  if (!TakesXclient(backend) || backend.introductions() == 0) return true;
  return backend.target->identity_reuse != IdentityReuse::kOnce;
}

// --- telling ----------------------------------------------------------------

Task<Introducer::Outcome> Introducer::Introduce(Backend& backend,
                                                const Borrower& borrower,
                                                std::string& refusal) {
  if (opens_per_client()) {
    co_return Carries(backend, borrower.identity) ? Outcome::kDone
                                                  : Outcome::kTryAnother;
  }
  if (settings_->backend_identity == BackendIdentity::kXforward) {
    const Outcome outcome = co_await SayXforward(backend, borrower, refusal);
    co_return outcome;
  }
  if (TakesXclient(backend)) {
    if (backend.identity() == borrower.identity) co_return Outcome::kDone;
    const Outcome outcome =
        co_await SayXclient(backend, borrower.identity, refusal);
    co_return outcome;
  }
  if (settings_->backend_identity == BackendIdentity::kXclient) {
    co_return RefuseForWantOf("XCLIENT", "xclient", backend, refusal);
  }
  NoteNoIdentity(backend);
  co_return Outcome::kDone;
}

Task<Introducer::Outcome> Introducer::IntroduceAgain(Backend& backend,
                                                     const Borrower& borrower,
                                                     std::string& refusal) {
  // A second XCLIENT would end what AUTH began, or be refused. All that can
  // have changed is the client's name, and whether it says EHLO or HELO: both
  // are told by saying the same.
  const auto& told = backend.identity();
  const bool renamed =
      told.has_value() && (told->helo != borrower.identity.helo ||
                           told->esmtp != borrower.identity.esmtp);
  if (renamed) {
    auto greeted = co_await backend.GreetAs(borrower.identity, ReplyDeadline());
    const bool is_taken = greeted.ok() && greeted->code == 250;
    if (!is_taken) co_return Outcome::kTryAnother;
  }
  if (settings_->backend_identity == BackendIdentity::kXforward) {
    const Outcome outcome = co_await SayXforward(backend, borrower, refusal);
    co_return outcome;
  }
  co_return Outcome::kDone;
}

// The backend forgets it at the transaction's end, so it is said for each; what
// is no transaction has no use for it.
Task<Introducer::Outcome> Introducer::SayXforward(Backend& backend,
                                                  const Borrower& borrower,
                                                  std::string& refusal) {
  if (borrower.transaction.empty()) co_return Outcome::kDone;
  if (!backend.capabilities().xforward.Has(smtp::ClientAttribute::kAddress)) {
    co_return RefuseForWantOf("XFORWARD", "xforward", backend, refusal);
  }
  auto reply = co_await backend.Forward(borrower.identity, borrower.transaction,
                                        ReplyDeadline());
  if (!reply.ok() || reply->code == 421) {
    ++counters_.backend_stale;
    co_return Outcome::kTryAnother;
  }
  if (reply->code == 250) {
    ++counters_.xforwards;
    co_return Outcome::kDone;
  }
  // It is for the log alone: no answer to it is a decision on the client.
  ++counters_.xclients_refused;
  LogMisconfigured(backend, borrower.identity, *reply);
  refusal = smtp::reply::kBackendDown.text();
  co_return Outcome::kRefused;
}

Task<Introducer::Outcome> Introducer::SayXclient(
    Backend& backend, const smtp::ClientIdentity& identity,
    std::string& refusal) {
  const bool was_used = backend.introductions() > 0;
  auto reply = co_await backend.Introduce(identity, ReplyDeadline());
  if (!reply.ok() || reply->code == 421) {
    ++counters_.backend_stale;
    co_return Outcome::kTryAnother;
  }
  if (reply->code != 220) {
    co_return HearRefusal(backend, *reply, was_used, identity, refusal);
  }
  ++counters_.xclients;
  const Outcome learned =
      co_await LearnReuse(backend, identity, was_used, refusal);
  co_return learned;
}

Introducer::Outcome Introducer::HearRefusal(
    Backend& backend, const BackendReply& reply, bool was_used,
    const smtp::ClientIdentity& identity, std::string& refusal) {
  ++counters_.xclients_refused;
  // Not a word on this client, but on our right to say who it is.
  const bool denied = DeniesTheRight(reply);
  if (was_used && (denied || reply.code == 503)) {
    NoteReuse(backend, IdentityReuse::kOnce);
    return Outcome::kTryAnother;
  }
  // The same in another server's words, perhaps: a connection that has not
  // heard of anybody tells whether it is the client that is refused.
  const bool is_unknown =
      backend.target->identity_reuse == IdentityReuse::kUnknown;
  if (was_used && is_unknown) {
    return Outcome::kTryAnother;
  }
  const bool misconfigured =
      denied || reply.code < 400 || reply.code == 501 || reply.code == 503;
  if (misconfigured) {
    LogMisconfigured(backend, identity, reply);
    refusal = smtp::reply::kBackendDown.text();
  } else {
    // The backend's decision on this client (edge 99).
    refusal = reply.text;
  }
  return Outcome::kRefused;
}

Introducer::Outcome Introducer::RefuseForWantOf(std::string_view command,
                                                std::string_view setting,
                                                const Backend& backend,
                                                std::string& refusal) {
  log_.Error(absl::StrFormat(
      "backend %s does not offer %s and backend_identity = %s requires it; "
      "add our address to its smtpd_authorized_%s_hosts",
      backend.target->endpoint().ToString(), command, setting, setting));
  refusal = smtp::reply::kBackendDown.text();
  return Outcome::kRefused;
}

void Introducer::LogMisconfigured(const Backend& backend,
                                  const smtp::ClientIdentity& identity,
                                  const BackendReply& reply) {
  log_.Error(absl::StrFormat(
      "backend %s refuses the identity of %s: %s; its mail gets 451 until "
      "this is mended",
      backend.target->endpoint().ToString(), identity.address,
      smtp::SanitizeForHeader(smtp::FirstLine(reply.text))));
}

// --- what is learnt of a backend --------------------------------------------

Task<Introducer::Outcome> Introducer::LearnReuse(
    Backend& backend, const smtp::ClientIdentity& identity, bool was_used,
    std::string& refusal) {
  // A backend that takes no HELO in XCLIENT wants to hear it after each.
  const bool needs_ehlo =
      !backend.capabilities().xclient.Has(smtp::ClientAttribute::kHelo);
  const bool wants_to_know =
      backend.target->identity_reuse == IdentityReuse::kUnknown &&
      identity.esmtp;
  if (!needs_ehlo && !wants_to_know) co_return Outcome::kDone;
  auto greeted = co_await backend.GreetAs(identity, ReplyDeadline());
  if (!greeted.ok() || greeted->code == 421) {
    ++counters_.backend_stale;
    co_return Outcome::kTryAnother;
  }
  // A connection that has not heard of anybody tells whether it is this client
  // that is refused.
  if (greeted->code != 250 && (was_used || greeted->code < 400)) {
    co_return Outcome::kTryAnother;
  }
  if (greeted->code != 250) {
    // The backend's decision on the client's name (edge 99).
    ++counters_.xclients_refused;
    refusal = greeted->text;
    co_return Outcome::kRefused;
  }
  // A reply to HELO offers nothing in any case.
  if (!identity.esmtp) co_return Outcome::kDone;
  const smtp::EhloCapabilities offered = smtp::ParseEhlo(greeted->text);
  NoteReuse(backend, offered.xclient.empty() ? IdentityReuse::kOnce
                                             : IdentityReuse::kMany);
  co_return Outcome::kDone;
}

void Introducer::NoteReuse(Backend& backend, IdentityReuse reuse) {
  IdentityReuse& known = backend.target->identity_reuse;
  if (known == reuse) return;
  known = reuse;
  if (reuse != IdentityReuse::kOnce || !notes_.single_use.Due(loop_.Now())) {
    return;
  }
  log_.Warning(absl::StrFormat(
      "backend %s takes one XCLIENT per connection, so each connection serves "
      "one client; for full reuse give tlspost a listener of its own with "
      "smtpd_authorized_xclient_hosts = 0.0.0.0/0, [::]/0 (see the README)",
      backend.target->endpoint().ToString()));
}

void Introducer::NoteNoIdentity(const Backend& backend) {
  if (settings_->backend_identity != BackendIdentity::kAuto ||
      !notes_.no_identity.Due(loop_.Now())) {
    return;
  }
  log_.Warning(absl::StrFormat(
      "backend %s offers no XCLIENT, so all mail comes from our address there: "
      "it must not relay for us as for its own network; backend_identity = "
      "proxy tells it of the client, none says that this is meant",
      backend.target->endpoint().ToString()));
}

io::Time Introducer::ReplyDeadline() const {
  return loop_.Now() + settings_->backend_timeout;
}

}  // namespace tlspost
