// The way through a transaction: borrow, converse, relay, give back.

#include "proxy/transaction.h"

#include <optional>
#include <utility>

#include "common/base/co_try.h"
#include "common/smtp/received.h"
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
      mail_(*smtp::ParseMail(mail_argument_)) {
  smtp::AppendMailLine(mail_, /*keep_auth=*/state_.authenticated(), wire_);
  AddWire(Verb::kMail, {});
}

Task<absl::Status> Transaction::Run() {
  // Nobody knows how long the wait is: no receive buffer waits with us.
  client_.Park();
  absl::Status end = absl::OkStatus();
  const bool borrowed = co_await Borrow();
  if (borrowed) {
    end = co_await Converse();
    if (!relayed_) co_await ResetBackend();
  }
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
    auto acquired = co_await services_.pool.Acquire(identity_, deadline);
    if (!acquired.lease) {
      FailFrom(0, acquired.refusal, smtp::reply::kNeedMail.text());
      co_return false;
    }
    lease_ = std::move(acquired.lease);
  }
  leased_ = services_.loop.Now();
  relay_ = lease_->stream().peer().ToString();
  // The session has judged MAIL by what was last known of the backend.
  const std::optional<smtp::Reply> refusal = smtp::RefuseMail(
      mail_, lease_->capabilities(), services_.settings.message_size_limit);
  if (!refusal.has_value()) co_return true;
  lease_.AtBoundary();
  lease_.Return();
  FailFrom(0, refusal->text(), smtp::reply::kNeedMail.text());
  co_return false;
}

// The connection that has heard the client's AUTH, and no other. XCLIENT would
// end what AUTH began, so a client that has changed its name says it by EHLO.
Task<absl::Status> Transaction::BorrowOwn() {
  lease_ = state_.authentication->Lend();
  const auto& told = lease_->identity();
  if (!told.has_value() || told->helo == identity_.helo) {
    co_return absl::OkStatus();
  }
  const io::Time deadline =
      services_.loop.Now() + services_.settings.backend_timeout;
  auto greeted = co_await lease_->GreetAs(identity_, deadline);
  co_return greeted.status();
}

// The client's commands until the transaction is over; what is left of it at
// the backend is for the caller to end.
Task<absl::Status> Transaction::Converse() {
  io::Time deadline = leased_ + services_.settings.command_timeout;
  while (true) {
    const bool left = Collect();
    if (!group_.empty()) {
      co_await Exchange();
      if (data_) {
        absl::Status relayed = co_await RelayMessage();
        co_return relayed;
      }
      const bool over = !open_ || TooManyErrors();
      if (over) co_return absl::OkStatus();
      deadline = services_.loop.Now() + services_.settings.command_timeout;
      continue;  // more may have come meanwhile
    }
    if (left) co_return absl::OkStatus();
    CO_TRY(co_await client_.Flush());
    CO_TRY(co_await client_.Fill(deadline));
  }
}

// --- the message ----------------------------------------------------------

Task<absl::Status> Transaction::RelayMessage() {
  relayed_ = true;
  const io::Time started = services_.loop.Now();
  CO_TRY(co_await client_.Flush());
  MessageRelay relay(services_, client_, lease_, ReceivedHeader());
  absl::Status end = co_await relay.Run();
  Counters& counters = services_.counters;
  if (relay.violations().any()) ++counters.smuggling_attempts;
  if (relay.outcome_unknown()) ++counters.outcomes_unknown;
  if (relay.accepted()) {
    ++counters.messages;
    state_.junk = 0;
  } else {
    ++counters.messages_failed;
  }
  LogMessage(relay, end, started);
  if (!relay.reply().empty()) Say(Verb::kData, ForClient(relay.reply()));
  co_return end;
}

std::string Transaction::ReceivedHeader() const {
  const Settings& settings = services_.settings;
  const tls::TlsEngine* engine = client_.stream().engine();
  TlsDescription tls;
  if (engine != nullptr) tls = engine->Describe();
  const bool one_recipient = recipient_count_ == 1;
  const std::string date = smtp::FormatRfc5322Date(
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
  fields.id = id_;
  if (one_recipient) fields.recipient = recipients_.front();
  fields.date = date;
  return smtp::FormatReceived(fields);
}

// --- the end --------------------------------------------------------------

// The client has left the transaction before DATA: the backend forgets it too,
// and the connection is clean again.
Task<void> Transaction::ResetBackend() {
  open_ = false;
  if (!lease_) co_return;
  const io::Time deadline =
      services_.loop.Now() + services_.settings.backend_timeout;
  const absl::Status reset = co_await lease_->ResetTransaction(deadline);
  if (reset.ok()) lease_.AtBoundary();
  lease_.Return();
}

void Transaction::Say(Verb verb, std::string_view reply) {
  const bool success = reply.starts_with('2');
  state_.tally.Count(verb, success);
  if (!success) {
    ++state_.errors;
    refusal_ = smtp::FirstLine(reply);
  }
  client_.Say(reply);
}

bool Transaction::TooManyErrors() const {
  return state_.errors >= services_.settings.hard_error_limit;
}

}  // namespace tlspost
