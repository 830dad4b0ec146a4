// Challenges to the client, responses to the backend.

#include "proxy/auth_exchange.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/base/co_try.h"
#include "common/base/status.h"
#include "common/smtp/line_buffer.h"
#include "common/smtp/text.h"
#include "proxy/client_conduct.h"
#include "proxy/client_identity.h"

namespace tlspost {
namespace {

using smtp::Verb;

constexpr int kChallenge = 334;
constexpr int kAuthenticated = 235;
constexpr int kLeaving = 421;

}  // namespace

AuthExchange::AuthExchange(SessionServices& services, ClientChannel& client,
                           ClientState& state, smtp::AuthArguments arguments)
    : services_(services),
      client_(client),
      state_(state),
      identity_(IdentityOf(client, state)),
      mechanism_(std::move(arguments.mechanism)),
      deadline_(services.loop.Now() + CommandTimeout(services)) {
  wire_ = "AUTH " + mechanism_;
  if (arguments.has_response) {
    responses_.emplace_back(arguments.response);
    wire_.append(" ").append(arguments.response);
  }
  wire_ += "\r\n";
}

AuthExchange::~AuthExchange() {
  smtp::Wipe(wire_);
  for (std::string& response : responses_) smtp::Wipe(response);
}

Task<absl::Status> AuthExchange::Run() {
  const size_t limit = services_.settings.line_length_limit;
  client_.set_line_length_limit(std::max(limit, smtp::kAuthLineLengthLimit));
  absl::Status end = co_await Converse();
  client_.set_line_length_limit(limit);
  if (!answered_) CountCommand(services_, state_, Verb::kAuth, false);
  co_return end;
}

Task<absl::Status> AuthExchange::Converse() {
  CO_TRY(co_await ExpectSilence());
  auto reply = co_await Begin();
  for (size_t steps = 0; !answered_; ++steps) {
    CO_TRY(co_await ExpectSilence());
    if (!reply.ok()) {
      LoseBackend(reply.status());
    } else if (reply->code != kChallenge) {
      Conclude(*std::move(reply));
    } else if (steps == kMaxSteps) {
      Refuse(smtp::reply::kAuthTooManySteps);
    } else {
      client_.Say(reply->text);
      CO_TRY(co_await HearResponse());
      if (answered_) break;
      CO_TRY(co_await ExpectSilence());
      reply = co_await Ask();
    }
  }
  co_return absl::OkStatus();
}

// RFC 4954 section 4: AUTH is the last command of a pipelined group. Of what
// comes ahead of our reply nobody knows whether it was meant as a response or
// as a command: it is neither, and who does so is left.
Task<absl::Status> AuthExchange::ExpectSilence() {
  CO_TRY_LET(talks, co_await client_.HasMore());
  if (!talks) co_return absl::OkStatus();
  Answer(smtp::reply::kSynchronization.text(), false);
  co_return absl::InvalidArgumentError(
      "improper command pipelining after AUTH");
}

// --- the backend ----------------------------------------------------------

// AUTH itself, on a connection that carries the client's identity. One that
// proves dead is replaced once: nobody has answered yet.
Task<absl::StatusOr<BackendReply>> AuthExchange::Begin() {
  bool retried = false;
  while (true) {
    const io::Time deadline =
        services_.loop.Now() + services_.settings.pool_wait_timeout;
    if (state_.bound != nullptr) {
      lease_ = state_.bound->Take(services_.pool, /*pinned=*/false);
    }
    if (!lease_) {
      const Borrower borrower{identity_, {}, client_.stream().engine()};
      auto acquired = co_await services_.pool.Acquire(borrower, deadline);
      if (!acquired.lease) {
        pool_refusal_ = std::move(acquired.refusal);
        co_return absl::UnavailableError("no connection");
      }
      lease_ = std::move(acquired.lease);
    }
    lease_->Dedicate();
    auto reply = co_await Ask();
    const bool gone = !reply.ok() || reply->code == kLeaving;
    const bool may_retry =
        !retried && !absl::IsDeadlineExceeded(reply.status());
    if (!gone || !may_retry) co_return reply;
    retried = true;
    ++services_.counters.lease_retries;
    lease_.Return();
  }
}

// Sends wire_ and hears the reply.
Task<absl::StatusOr<BackendReply>> AuthExchange::Ask() {
  const io::Time deadline =
      services_.loop.Now() + services_.settings.backend_timeout;
  CO_TRY(co_await lease_->Send(wire_, 1, deadline));
  auto reply = co_await lease_->ReadReply(deadline, BackendStep::kAuth);
  co_return reply;
}

// --- the client -----------------------------------------------------------

Task<absl::Status> AuthExchange::HearResponse() {
  CO_TRY(co_await client_.Flush());
  while (!TakeResponse()) CO_TRY(co_await client_.Fill(deadline_));
  co_return absl::OkStatus();
}

// False: there is no whole line yet.
bool AuthExchange::TakeResponse() {
  const std::optional<ClientChannel::Line> line = client_.TakeLine();
  if (!line.has_value()) return false;
  if (line->too_long) {
    Refuse(smtp::reply::kAuthLineTooLong);
  } else if (!smtp::ValidAuthResponse(line->text)) {
    Refuse(smtp::reply::kAuthBadResponse);
  } else {
    responses_.emplace_back(line->text);
    smtp::Wipe(wire_);
    wire_.reserve(line->text.size() + 2);
    wire_.append(line->text).append("\r\n");
  }
  return true;
}

// --- the end --------------------------------------------------------------

void AuthExchange::Conclude(BackendReply reply) {
  if (reply.code == kAuthenticated) {
    Succeed();
    return Answer(reply.text, true);
  }
  if (reply.code < 400) {
    return LoseBackend(absl::UnavailableError(
        absl::StrFormat("a reply out of step: %d", reply.code)));
  }
  // Clean, but it has seen a failed try, and the server counts them.
  if (reply.code != kLeaving) lease_.AtBoundary();
  Fail(smtp::WithoutLeaveTaking(std::move(reply.text), "454"));
}

void AuthExchange::Succeed() {
  ++services_.counters.auth_succeeded;
  std::string user_name = smtp::UserNameOf(mechanism_, responses_);
  lease_.AtBoundary();
  state_.NeedAuthentication().Succeed(std::move(lease_), mechanism_,
                                      std::move(user_name));
}

// The exchange ends here, whatever the backend still expects of it.
void AuthExchange::Refuse(const smtp::Reply& reply) {
  Fail(std::string(reply.text()));
}

void AuthExchange::Fail(std::string reply) {
  lease_.Return();
  ++services_.counters.auth_failed;
  NoteError(services_, state_);
  state_.NeedAuthentication().NoteFailure();
  LogFailure(reply);
  Answer(reply, false);
}

// Nobody's fault here: no try that counts.
void AuthExchange::LoseBackend(const absl::Status& why) {
  lease_.Return();
  if (!pool_refusal_.empty()) return Answer(pool_refusal_, false);
  services_.log.Warning(
      absl::StrFormat("%s: lost connection with backend after AUTH: %s",
                      LogName(client_.stream().transport()), MessageOf(why)));
  Answer(smtp::reply::kAuthBackendLost.text(), false);
}

void AuthExchange::Answer(std::string_view reply, bool success) {
  answered_ = true;
  CountCommand(services_, state_, Verb::kAuth, success);
  // Its words may repeat the client's: the code has to do.
  if (!success) {
    NoteRefusal(services_, state_, client_, Verb::kAuth, reply.substr(0, 3));
  }
  client_.Say(reply, smtp::RepeatsResponse(reply, responses_));
}

// In Postfix's words, which people's tools look for; no name in it, as people
// type passwords there.
void AuthExchange::LogFailure(std::string_view reply) const {
  const std::string_view words = smtp::FirstLine(reply);
  const bool repeats = smtp::RepeatsResponse(words, responses_);
  services_.log.Warning(absl::StrFormat(
      "%s: SASL %s authentication failed: %s",
      LogName(client_.stream().transport()), mechanism_,
      repeats
          ? std::string(words.substr(0, 3)) + " (its words repeat the client's)"
          : smtp::SanitizeForHeader(words)));
}

}  // namespace tlspost
