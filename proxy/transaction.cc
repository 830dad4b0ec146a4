// The way through a transaction: borrow, converse, relay, give back.

#include "proxy/transaction.h"

#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "common/base/co_try.h"
#include "common/smtp/received.h"
#include "proxy/borrow.h"
#include "proxy/client_conduct.h"
#include "proxy/client_identity.h"

namespace tlspost {

using smtp::Verb;

Transaction::Transaction(SessionServices& services, ClientChannel& client,
                         ClientState& state, std::string_view mail_argument)
    : services_(services),
      client_(client),
      state_(state),
      id_(services.NextId()),
      started_(services.loop.Now()),
      leased_(started_),
      identity_(IdentityOf(client, state)),
      mail_argument_(mail_argument),
      mail_(*smtp::ParseMail(*mail_argument_)) {
  smtp::AppendMailLine(mail_, /*keep_auth=*/state_.authenticated(), *wire_);
  AddWire(Verb::kMail, {});
}

Transaction::~Transaction() {
  for (std::string& recipient : recipients_) KeepSpareString(recipient);
  KeepSpareString(relay_);
  KeepSpareString(identity_.name);
  KeepSpareString(identity_.reverse_name);
  KeepSpareString(identity_.helo);
}

Task<absl::Status> Transaction::Run() {
  ++services_.counters.transactions;
  // Nobody knows how long the wait is: no receive buffer waits with us.
  client_.Park();
  absl::Status end = absl::OkStatus();
  const bool borrowed = co_await Borrow();
  if (borrowed) {
    end = co_await Converse();
    // Within DATA a connection cannot be reset: it is closed.
    if (!data_) co_await ResetBackend();
  }
  if (chunks_ != nullptr) CloseChunks(end);
  if (!relayed_ && !refusal_.empty()) LogRefusal();
  co_return end;
}

// Takes a connection that carries the client's identity. False: there is none,
// or it does not take this MAIL, and the client has been told.
Task<bool> Transaction::Borrow() {
  if (state_.authenticated()) {
    const absl::Status ours = co_await BorrowOwn();
    if (!ours.ok()) {
      LoseBackend(0, ours);
      co_return false;
    }
  } else {
    const io::Time deadline =
        services_.loop.Now() + services_.settings.pool_wait_timeout;
    const Borrower borrower = AsBorrower();
    auto acquired =
        co_await BorrowBackend(services_, state_, borrower, deadline);
    if (!acquired.lease) {
      FailFrom(0, acquired.refusal, smtp::reply::kNeedMail.text());
      co_return false;
    }
    lease_ = std::move(acquired.lease);
  }
  leased_ = services_.loop.Now();
  KeepSpareString(relay_);
  relay_ = SpareCopy(lease_->address());
  // The session has judged MAIL by what was last known of the backend.
  const std::optional<smtp::Reply> refusal =
      smtp::RefuseMail(mail_, lease_->capabilities(),
                       services_.settings.message_size_limit, state_.offered);
  if (!refusal.has_value()) {
    ++lease_->mails;
    co_return true;
  }
  lease_.AtBoundary();
  lease_.Return();
  FailFrom(0, refusal->text(), smtp::reply::kNeedMail.text());
  co_return false;
}

// The connection that has heard the client's AUTH, and no other.
Task<absl::Status> Transaction::BorrowOwn() {
  lease_ = state_.authentication->Lend();
  if (!lease_->takes_mail()) {
    co_return absl::UnavailableError("it takes no more mails per session");
  }
  const Borrower borrower = AsBorrower();
  std::string refusal;
  const Introducer::Outcome introduced =
      co_await services_.pool.introducer().IntroduceAgain(*lease_, borrower,
                                                          refusal);
  if (introduced == Introducer::Outcome::kDone) co_return absl::OkStatus();
  co_return absl::UnavailableError("it does not take the client's name");
}

Borrower Transaction::AsBorrower() const {
  return Borrower{identity_, *id_, client_.stream().engine()};
}

// The client's commands until the transaction is over; what is left of it at
// the backend is for the caller to end.
Task<absl::Status> Transaction::Converse() {
  io::Time deadline = leased_ + CommandTimeout(services_);
  while (true) {
    const bool left = Collect();
    if (!group_.empty()) {
      co_await Exchange();
      if (data_) {
        absl::Status relayed = co_await RelayMessage();
        co_return relayed;
      }
      const bool over = !open_ || HasTooManyErrors(services_, state_);
      if (over) co_return absl::OkStatus();
      const bool slowed = IsSlowedDown(services_, state_);
      if (slowed)
        CO_TRY(co_await SendReplies(services_, client_, state_, true));
      deadline = services_.loop.Now() + CommandTimeout(services_);
      continue;  // more may have come meanwhile
    }
    if (left && state_.last_verb == Verb::kBdat) {
      CO_TRY(co_await RelayChunk());
      const bool over = !open_ || HasTooManyErrors(services_, state_);
      if (over) co_return absl::OkStatus();
      deadline = services_.loop.Now() + CommandTimeout(services_);
      continue;
    }
    if (left) co_return absl::OkStatus();
    CO_TRY(co_await SendReplies(services_, client_, state_, true));
    if (chunks_ != nullptr) {
      CO_TRY(co_await chunks_->Fill(deadline));
      continue;
    }
    const io::Time patience = HoldersDeadline(services_, deadline);
    absl::Status filled = co_await client_.Fill(patience);
    const bool is_in_nobodys_way = absl::IsDeadlineExceeded(filled) &&
                                   patience < deadline &&
                                   !services_.pool.is_crowded();
    if (!is_in_nobodys_way) CO_TRY(std::move(filled));
  }
}

// --- the message ----------------------------------------------------------

Task<absl::Status> Transaction::RelayMessage() {
  relayed_ = true;
  const io::Time started = services_.loop.Now();
  CO_TRY(co_await client_.Flush());
  MessageRelay relay(services_, client_, lease_, ReceivedHeader());
  absl::Status end = co_await relay.Run();
  if (relay.violations().any()) ++services_.counters.smuggling_attempts;
  NoteOutcome(relay.outcome(), end, started);
  const SpareString reply(ForClient(relay.TakeReply()));
  if (!reply->empty()) Say(Verb::kData, *reply);
  co_return end;
}

void Transaction::NoteOutcome(const RelayOutcome& outcome,
                              const absl::Status& end, io::Time started) {
  client_.TraceMessage(outcome.octets);
  Counters& counters = services_.counters;
  if (outcome.outcome_unknown) ++counters.outcomes_unknown;
  if (outcome.accepted) {
    CountMessage(outcome);
    NoteMessage(state_);
  } else {
    ++counters.messages_failed;
  }
  LogMessage(outcome, end, started);
}

void Transaction::CountMessage(const RelayOutcome& outcome) {
  Counters& counters = services_.counters;
  if (state_.messages < std::numeric_limits<uint16_t>::max()) ++state_.messages;
  ++counters.messages;
  ++counters.messages_by_tls[TlsUseOf(client_.stream().engine())];
  counters.message_recipients += static_cast<int64_t>(recipient_count_);
  counters.message_octets += static_cast<int64_t>(outcome.octets);
  counters.Observe(Phase::kMessage, services_.loop.Now() - started_);
}

std::string Transaction::ReceivedHeader() const {
  const Settings& settings = services_.settings;
  const tls::TlsEngine* engine = client_.stream().engine();
  TlsDescription tls;
  if (engine != nullptr) tls = engine->Describe();
  const bool one_recipient = recipient_count_ == 1;
  std::string date = smtp::FormatRfc5322Date(
      io::WallTime::clock::to_time_t(services_.loop.WallNow()));
  smtp::ReceivedFields fields;
  fields.helo = state_.helo;
  fields.client_name = identity_.name;
  fields.client_address = identity_.address;
  if (engine != nullptr && settings.tls_received_header) fields.tls = &tls;
  fields.tls_format = settings.received_format == ReceivedFormat::kGmail
                          ? smtp::TlsClauseFormat::kGmail
                          : smtp::TlsClauseFormat::kPostfix;
  fields.tls_clause = settings.received_tls_clause;
  fields.by = settings.hostname;
  fields.mail_name = settings.mail_name;
  fields.protocol = smtp::ProtocolName(state_.esmtp, engine != nullptr,
                                       state_.authenticated(), mail_.smtputf8);
  fields.id = *id_;
  if (one_recipient) fields.recipient = recipients_.front();
  fields.date = date;
  std::string header = smtp::FormatReceived(fields);
  KeepSpareString(date);
  KeepSpareString(tls.cipher);
  KeepSpareString(tls.iana_cipher);
  return header;
}

// --- the end --------------------------------------------------------------

// The client has left the transaction before DATA: the backend forgets it too,
// and the connection is clean again.
Task<void> Transaction::ResetBackend() {
  open_ = false;
  if (!lease_) co_return;
  const bool is_left = state_.last_verb == Verb::kQuit;
  // The client hears 221 at once (edge 108); but one that has authenticated
  // is told by its connection's end that its session is over.
  if (is_left && !state_.authenticated()) {
    lease_.ReturnOpen();
    co_return;
  }
  const io::Time deadline =
      services_.loop.Now() + services_.settings.backend_timeout;
  const absl::Status reset = co_await lease_->ResetTransaction(deadline);
  if (reset.ok()) lease_.AtBoundary();
  lease_.Return();
}

void Transaction::Say(Verb verb, std::string_view reply) {
  const bool success = reply.starts_with('2');
  CountCommand(services_, state_, verb, success);
  const bool overshoot = verb == Verb::kRcpt && reply.starts_with("452") &&
                         ++overshoot_ <= kRecipientOvershootLimit;
  if (!success && !overshoot) NoteError(services_, state_);
  if (!success) {
    refusal_ = smtp::FirstLine(reply);
    NoteRefusal(services_, state_, client_, verb, reply);
  }
  client_.Say(reply);
}

}  // namespace tlspost
