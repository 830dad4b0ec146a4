// Groups of commands to the backend, and their replies back in order.

#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/co_try.h"
#include "common/base/status.h"
#include "proxy/client_conduct.h"
#include "proxy/transaction.h"

namespace tlspost {
namespace {

using smtp::Verb;

BackendStep StepOf(Verb verb) {
  if (verb == Verb::kMail) return BackendStep::kMail;
  return verb == Verb::kRcpt ? BackendStep::kRcpt : BackendStep::kData;
}

// Whether this cannot be the answer to that command: replies and commands have
// come apart, and the connection must not carry on.
bool IsOutOfStep(Verb verb, bool open, int code) {
  if (code / 100 == 3) return verb != Verb::kData || !open;
  return code / 100 == 2 && verb == Verb::kData;
}

}  // namespace

// Takes the commands that the client has sent already. True when one of them
// is not the transaction's business: it is left to the session.
bool Transaction::Collect() {
  while (wire_->size() < kMaxGroupOctets && locals_ < kMaxGroupLocals) {
    // A client that is slowed down has its commands one by one.
    if (!group_.empty() && IsSlowedDown(services_, state_)) return false;
    const std::optional<ClientChannel::Line> line = client_.TakeLine();
    if (!line.has_value()) return false;
    if (line->is_lost()) {
      ++services_.counters.limits_hit[Limit::kLineLength];
      AddLocal(Verb::kUnknown, smtp::reply::kLineTooLong);
      continue;
    }
    const smtp::Command command = smtp::ParseCommand(line->text);
    state_.last_verb = command.verb;
    const std::optional<smtp::Reply> refusal = smtp::RefuseByShape(command);
    // How long the chunk is that follows a BDAT is for RelayChunk to find out.
    const bool left_to_others =
        command.verb == Verb::kForbidden || command.verb == Verb::kBdat;
    if (refusal.has_value() && !left_to_others) {
      AddLocal(command.verb, *refusal);
      continue;
    }
    if (RefuseOutOfPlace(command.verb)) continue;
    switch (command.verb) {
      case Verb::kRcpt:
        AddRcpt(command.argument);
        break;
      case Verb::kData:
        AddWire(command.verb, {});
        return false;  // what follows depends on the reply
      case Verb::kNoop:
        AddJunk(command.verb, smtp::reply::kOk);
        break;
      case Verb::kVrfy:
        AddJunk(command.verb, VrfyReply(services_.settings));
        break;
      case Verb::kHelp:
        AddJunk(command.verb, smtp::reply::kHelp);
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
      case Verb::kBdat:  // a chunk goes by itself
      default:           // RSET, EHLO, HELO, STARTTLS, QUIT, HTTP: it ends
        client_.PutBack(line->text);
        return group_.empty();
    }
  }
  return false;
}

void Transaction::AddLocal(Verb verb, std::string_view reply) {
  ++locals_;
  group_.emplace_back(verb, wire_->size(), SpareCopy(reply), std::string());
}

void Transaction::AddJunk(Verb verb, const smtp::Reply& reply) {
  NoteJunk(services_, state_);
  AddLocal(verb, reply);
}

void Transaction::AddWire(Verb verb, std::string recipient) {
  if (verb == Verb::kData) *wire_ += "DATA\r\n";
  group_.emplace_back(verb, wire_->size(), std::string(), std::move(recipient));
}

void Transaction::AddRcpt(std::string_view argument) {
  const smtp::ReplyOr<smtp::RcptArguments> rcpt = smtp::ParseRcpt(argument);
  if (!rcpt.ok()) return AddLocal(Verb::kRcpt, rcpt.refusal());
  const std::optional<smtp::Reply> refusal = smtp::RefuseRcpt(
      *rcpt, lease_->capabilities(), mail_.smtputf8, state_.offered);
  if (refusal.has_value()) return AddLocal(Verb::kRcpt, *refusal);
  const size_t limit = services_.settings.recipient_limit;
  if (recipient_count_ + asked_recipients_ >= limit) {
    ++services_.counters.limits_hit[Limit::kRecipient];
    return AddLocal(Verb::kRcpt, smtp::reply::kTooManyRecipients);
  }
  const std::optional<std::string> too_many =
      CountEvent(services_, state_, client_, ClientEvent::kRecipient);
  if (too_many.has_value()) return AddLocal(Verb::kRcpt, *too_many);
  ++asked_recipients_;
  smtp::AppendRcptLine(*rcpt, *wire_);
  AddWire(Verb::kRcpt, SpareCopy(rcpt->path));
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
  const bool pipelining = lease_->pipelines();
  const size_t end = pipelining ? wire_->size() : group_[index].wire_end;
  if (group_[index].wire_end > sent_) {
    int replies = 0;
    for (const Entry& entry : group_) {
      const bool is_sent = entry.local.empty() && entry.wire_end > sent_ &&
                           entry.wire_end <= end;
      if (is_sent) ++replies;
    }
    const std::string_view commands =
        std::string_view(*wire_).substr(sent_, end - sent_);
    sent_ = end;
    CO_TRY(co_await lease_->Send(commands, replies, deadline));
  }
  const BackendStep step = StepOf(group_[index].verb);
  auto reply = co_await lease_->ReadReply(deadline, step);
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
    default:
      break;
  }
  lost_ = lost_ || reply.code == 421;
  if (data_) {
    // 354 is no success and no error; DATA counts with the message's end.
    client_.Say(reply.text);
  } else {
    reply.text = ForClient(std::move(reply.text));
    Say(entry.verb, reply.text);
  }
}

// The connection is gone, unanswered from `index` on.
void Transaction::LoseBackend(size_t index, const absl::Status& why) {
  services_.log.Warning(
      absl::StrFormat("%s: lost connection with backend after %s: %s", *id_,
                      smtp::InfoOf(group_[index].verb).name, MessageOf(why)));
  const std::string_view reply = smtp::reply::kBackendLost.text();
  if (!state_.authenticated()) return FailFrom(index, reply, reply);
  // The session ends with it: its 421 is the answer.
  CountCommand(services_, state_, group_[index].verb, false);
  refusal_ = smtp::FirstLine(smtp::reply::kServiceUnavailable.text());
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
    CountCommand(services_, state_, entry.verb, false);
    refusal_ = smtp::FirstLine(reply);
    NoteRefusal(services_, state_, client_, entry.verb, reply);
    client_.Say(reply);
  }
  lost_ = true;
}

void Transaction::CloseGroup() {
  group_.clear();
  wire_->clear();
  sent_ = 0;
  asked_recipients_ = 0;
  locals_ = 0;
  if (lost_) {
    lease_.Return();  // closed: not at a boundary
    open_ = false;
    data_ = false;
  } else if (!open_) {
    lease_.AtBoundary();
    lease_.Return();
  }
}

}  // namespace tlspost
