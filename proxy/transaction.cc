// Groups of commands to the backend and their replies back; then the message.

#include "proxy/transaction.h"

#include <chrono>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/base/co_try.h"
#include "common/base/status.h"
#include "common/smtp/received.h"
#include "common/smtp/text.h"
#include "proxy/client_identity.h"

namespace tlspost {
namespace {

using smtp::Verb;

std::string_view FirstLine(std::string_view reply) {
  return reply.substr(0, reply.find('\r'));
}

// Whether this cannot be the answer to that command: replies and commands have
// come apart, and the connection must not carry on.
bool IsOutOfStep(Verb verb, bool open, int code) {
  if (code / 100 == 3) return verb != Verb::kData || !open;
  return code / 100 == 2 && verb == Verb::kData;
}

double Seconds(io::Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

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

// --- the group ------------------------------------------------------------

// Takes the commands that the client has sent already. True when one of them
// is not the transaction's business: it is left to the session.
bool Transaction::Collect() {
  while (wire_.size() < kMaxGroupOctets) {
    const std::optional<ClientChannel::Line> line = client_.TakeLine();
    if (!line.has_value()) return false;
    if (line->too_long) {
      AddLocal(Verb::kUnknown, smtp::reply::kLineTooLong);
      continue;
    }
    const smtp::Command command = smtp::ParseCommand(line->text);
    state_.last_verb = command.verb;
    const std::optional<smtp::Reply> refusal = smtp::RefuseByShape(command);
    if (refusal.has_value() && command.verb != Verb::kForbidden) {
      AddLocal(command.verb, *refusal);
      continue;
    }
    switch (command.verb) {
      case Verb::kRcpt:
        AddRcpt(command.argument);
        break;
      case Verb::kData:
      case Verb::kRset:
        AddWire(command.verb, {});
        return false;  // what follows depends on the reply
      case Verb::kNoop:
        AddLocal(command.verb, smtp::reply::kOk);
        break;
      case Verb::kVrfy:
        AddLocal(command.verb, smtp::reply::kCannotVerify);
        break;
      case Verb::kHelp:
        AddLocal(command.verb, smtp::reply::kHelp);
        break;
      case Verb::kAuth:
      case Verb::kMail:
        if (group_.empty() && open_) {
          AddLocal(command.verb, command.verb == Verb::kMail
                                     ? smtp::reply::kNestedMail
                                     : smtp::reply::kInTransaction);
          break;
        }
        // Whether it is nested shows in the replies that are still to come.
        client_.PutBack(line->text);
        return group_.empty();
      default:  // EHLO, HELO, STARTTLS, QUIT, HTTP: the transaction ends
        client_.PutBack(line->text);
        return group_.empty();
    }
  }
  return false;
}

void Transaction::AddLocal(Verb verb, const smtp::Reply& reply) {
  group_.emplace_back(verb, wire_.size(), std::string(reply.text()), "");
}

void Transaction::AddWire(Verb verb, std::string recipient) {
  if (verb == Verb::kData) wire_ += "DATA\r\n";
  if (verb == Verb::kRset) wire_ += "RSET\r\n";
  group_.emplace_back(verb, wire_.size(), "", std::move(recipient));
}

void Transaction::AddRcpt(std::string_view argument) {
  const smtp::ReplyOr<smtp::RcptArguments> rcpt = smtp::ParseRcpt(argument);
  if (!rcpt.ok()) return AddLocal(Verb::kRcpt, rcpt.refusal());
  const std::optional<smtp::Reply> refusal =
      smtp::RefuseRcpt(*rcpt, lease_->capabilities(), mail_.smtputf8);
  if (refusal.has_value()) return AddLocal(Verb::kRcpt, *refusal);
  const size_t limit = services_.settings.recipient_limit;
  if (recipient_count_ + asked_recipients_ >= limit) {
    return AddLocal(Verb::kRcpt, smtp::reply::kTooManyRecipients);
  }
  ++asked_recipients_;
  smtp::AppendRcptLine(*rcpt, wire_);
  AddWire(Verb::kRcpt, std::string(rcpt->path));
}

// Sends the group and says the replies, in order. Never fails: what a lost
// backend leaves unanswered is answered by us.
Task<void> Transaction::Exchange() {
  for (size_t i = 0; i < group_.size(); ++i) {
    if (!group_[i].local.empty()) {
      Say(group_[i].verb, group_[i].local);
      continue;
    }
    auto reply = co_await Ask(i);
    const bool gone = !reply.ok() || reply->code == 421;
    // Nothing of this transaction was answered: another connection may try.
    const bool may_retry = i == 0 && group_[0].verb == Verb::kMail &&
                           !retried_ && !state_.authenticated() &&
                           !absl::IsDeadlineExceeded(reply.status());
    if (gone && may_retry) {
      retried_ = true;
      ++services_.counters.lease_retries;
      lease_.Return();
      sent_ = 0;
      const bool borrowed = co_await Borrow();
      if (!borrowed) break;
      reply = co_await Ask(i);
    }
    if (reply.ok() && IsOutOfStep(group_[i].verb, open_, reply->code)) {
      reply = absl::UnavailableError(
          absl::StrFormat("a reply out of step: %d", reply->code));
    }
    if (!reply.ok()) {
      LoseBackend(i, reply.status());
      break;
    }
    const bool leaving = reply->code == 421;
    Heed(group_[i], *std::move(reply));
    if (leaving && state_.authenticated()) break;
    if (leaving) {
      FailFrom(i + 1, smtp::reply::kBackendLost.text(),
               smtp::reply::kBackendLost.text());
      break;
    }
  }
  CloseGroup();
}

// The reply to one command of the group, which is sent if it was not yet: all
// at once to a backend that takes PIPELINING, else one by one.
Task<absl::StatusOr<BackendReply>> Transaction::Ask(size_t index) {
  const io::Time deadline =
      services_.loop.Now() + services_.settings.backend_timeout;
  const bool pipelining = lease_->capabilities().pipelining;
  const size_t end = pipelining ? wire_.size() : group_[index].wire_end;
  if (group_[index].wire_end > sent_) {
    int replies = 0;
    for (const Entry& entry : group_) {
      const bool is_sent = entry.local.empty() && entry.wire_end > sent_ &&
                           entry.wire_end <= end;
      if (is_sent) ++replies;
    }
    const std::string_view commands =
        std::string_view(wire_).substr(sent_, end - sent_);
    sent_ = end;
    CO_TRY(co_await lease_->Send(commands, replies, deadline));
  }
  auto reply = co_await lease_->ReadReply(deadline);
  co_return reply;
}

void Transaction::Heed(Entry& entry, BackendReply reply) {
  const bool success = reply.is_success();
  switch (entry.verb) {
    case Verb::kMail:
      open_ = success;
      lease_.InTransaction();
      break;
    case Verb::kRcpt:
      if (!success) break;
      ++recipient_count_;
      if (recipients_.size() < kMaxLoggedRecipients) {
        recipients_.push_back(std::move(entry.recipient));
      }
      break;
    case Verb::kData:
      data_ = reply.code == 354;
      break;
    case Verb::kRset:
      open_ = open_ && !success;
      break;
    default:
      break;
  }
  lost_ = lost_ || reply.code == 421;
  if (data_) {
    // 354 is no success and no error; DATA counts with the message's end.
    client_.Say(reply.text);
  } else {
    Say(entry.verb, ForClient(std::move(reply.text)));
  }
}

// The connection is gone, unanswered from `index` on.
void Transaction::LoseBackend(size_t index, const absl::Status& why) {
  services_.log.Warning(
      absl::StrFormat("%s: lost connection with backend after %s: %s", id_,
                      smtp::InfoOf(group_[index].verb).name, MessageOf(why)));
  const std::string_view reply = smtp::reply::kBackendLost.text();
  if (!state_.authenticated()) return FailFrom(index, reply, reply);
  // The session ends with it: its 421 is the answer.
  state_.tally.Count(group_[index].verb, false);
  refusal_ = FirstLine(smtp::reply::kServiceUnavailable.text());
  lost_ = true;
  lease_.Return();
}

// A backend that says 421 takes leave of us, not of the client, whose session
// goes on: it hears the same words under 451. Unless the connection is the
// client's own: its session ends with it.
std::string Transaction::ForClient(std::string reply) {
  if (!state_.authenticated()) {
    return smtp::WithoutLeaveTaking(std::move(reply), "451");
  }
  if (reply.starts_with("421")) state_.authentication->NoteFarewell();
  return reply;
}

// Answers what the backend did not: `first` to the command at `index`,
// `others` to those behind it. The connection is done with.
void Transaction::FailFrom(size_t index, std::string_view first,
                           std::string_view others) {
  for (size_t i = index; i < group_.size(); ++i) {
    const Entry& entry = group_[i];
    if (!entry.local.empty()) {
      Say(entry.verb, entry.local);
      continue;
    }
    const std::string_view reply = i == index ? first : others;
    // Not the client's fault, so not counted among its errors.
    state_.tally.Count(entry.verb, false);
    refusal_ = FirstLine(reply);
    client_.Say(reply);
  }
  lost_ = true;
}

void Transaction::CloseGroup() {
  group_.clear();
  wire_.clear();
  sent_ = 0;
  asked_recipients_ = 0;
  if (lost_) {
    lease_.Return();  // closed: not at a boundary
    open_ = false;
    data_ = false;
  } else if (!open_) {
    lease_.AtBoundary();
    lease_.Return();
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

// --- the log --------------------------------------------------------------

// "client=..., from=<>, to=<>, nrcpt=1"
std::string Transaction::Envelope() const {
  std::string to;
  for (const std::string& recipient : recipients_) {
    to += absl::StrFormat("to=<%s>, ", smtp::SanitizeForHeader(recipient));
  }
  return absl::StrFormat(
      "client=unknown[%s], %sfrom=<%s>, %snrcpt=%d", identity_.address,
      state_.authenticated() ? state_.authentication->LogFields() : "",
      smtp::SanitizeForHeader(mail_.path), to, recipient_count_);
}

// One line per transaction that came to its message: who, from whom, to whom,
// how big, what the backend said, and where the time went (waiting for a
// connection / envelope / message).
void Transaction::LogMessage(const MessageRelay& relay, const absl::Status& end,
                             io::Time data_started) const {
  const io::Time now = services_.loop.Now();
  const std::string_view said = FirstLine(relay.reply());
  const std::string_view status = relay.accepted()          ? "sent"
                                  : relay.outcome_unknown() ? "unknown"
                                  : !end.ok()               ? "aborted"
                                  : said.starts_with('4')   ? "deferred"
                                                            : "bounced";
  services_.log.Info(absl::StrFormat(
      "%s: %s, size=%d, relay=%s, delay=%.2f, delays=%.2f/%.2f/%.2f, "
      "status=%s (%s)",
      id_, Envelope(), relay.octets(), relay_, Seconds(now - started_),
      Seconds(leased_ - started_), Seconds(data_started - leased_),
      Seconds(now - data_started), status,
      end.ok() ? smtp::SanitizeForHeader(said) : MessageOf(end)));
}

// The same for one that was refused before.
void Transaction::LogRefusal() const {
  services_.log.Info(
      absl::StrFormat("%s: %s, relay=%s, delay=%.2f, status=refused (%s)", id_,
                      Envelope(), relay_.empty() ? "none" : relay_,
                      Seconds(services_.loop.Now() - started_),
                      smtp::SanitizeForHeader(refusal_)));
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
    refusal_ = FirstLine(reply);
  }
  client_.Say(reply);
}

bool Transaction::TooManyErrors() const {
  return state_.errors >= services_.settings.hard_error_limit;
}

}  // namespace tlspost
