// Streams a message to the backend; keeps promises 1 and 4 of the design.

#include "proxy/message_relay.h"

#include <optional>
#include <utility>

#include "common/base/check.h"
#include "common/base/co_try.h"
#include "common/base/spare_string.h"
#include "proxy/hop_limit.h"

namespace tlspost {
namespace {

smtp::BareNewline PolicyOf(const Settings& settings) {
  return settings.bare_newline == BareNewline::kReject
             ? smtp::BareNewline::kReject
             : smtp::BareNewline::kNormalize;
}

}  // namespace

MessageRelay::MessageRelay(SessionServices& services, ClientChannel& client,
                           Lease& lease, std::string header)
    : services_(services),
      client_(client),
      lease_(lease),
      header_(std::move(header)),
      scanner_(PolicyOf(services.settings)),
      hops_(services.settings.hostname, services.settings.mail_name),
      pace_(services.settings.data_timeout, services.settings.min_data_rate) {
  lease_.InTransaction();
}

Task<absl::Status> MessageRelay::Run() {
  while (!scanner_.ended()) {
    if (client_.unread().empty()) {
      const io::Time began = services_.loop.Now();
      const io::Time deadline = pace_.Deadline(began);
      const absl::Status heard = co_await client_.Fill(deadline);
      NoteHeard(heard, began);
      if (!heard.ok()) co_return heard;
    }
    CO_TRY(co_await RelayChunk());
  }
  if (forwarding()) co_await HearFinalReply();
  co_return absl::OkStatus();
}

void MessageRelay::NoteHeard(const absl::Status& heard, io::Time began) {
  if (absl::IsDeadlineExceeded(heard)) {
    ++services_.counters.messages_too_slow;
    ++services_.counters.limits_hit[Limit::kDataTimeout];
  }
  pace_.Note(client_.unread().size(), services_.loop.Now() - began);
}

Task<absl::Status> MessageRelay::RelayChunk() {
  const smtp::DataScanner::Result scanned =
      scanner_.Scan(client_.unread(), scratch_);
  hops_.Look(scanned.output);
  CheckLimits();
  if (forwarding() && lease_->readable()) co_await HearEarlyReply();
  const bool something = !header_.empty() || !scanned.output.empty();
  if (forwarding() && something) {
    const io::Time deadline =
        services_.loop.Now() + services_.settings.backend_timeout;
    dot_sent_ = scanner_.ended();
    const absl::Status sent =
        co_await lease_->SendData(header_, scanned.output, deadline);
    KeepSpareString(header_);
    if (!sent.ok()) {
      // A server that refuses in mid-message says why before it closes.
      if (lease_->readable()) {
        co_await HearEarlyReply();
      } else {
        outcome_unknown_ = dot_sent_;
        GiveUpLost();
      }
    }
  }
  client_.Consume(scanned.consumed);
  if (!forwarding()) {
    drained_ += scanned.consumed;
    if (drained_ > kMaxDrainOctets) {
      co_return absl::ResourceExhaustedError("endless message after refusal");
    }
  }
  co_return absl::OkStatus();
}

void MessageRelay::CheckLimits() {
  if (!forwarding()) return;
  const uint64_t limit = services_.settings.message_size_limit;
  const std::optional<smtp::Reply> refusal = RefuseHops(hops_, services_);
  if (limit > 0 && scanner_.message_octets() > limit) {
    ++services_.counters.limits_hit[Limit::kMessageSize];
    GiveUp(smtp::reply::kMessageTooBig.text());
  } else if (refusal.has_value()) {
    GiveUp(refusal->text());
  } else if (scanner_.refused()) {
    const smtp::DataScanner::Violations& wrong = scanner_.violations();
    GiveUp(wrong.bare_lf   ? smtp::reply::kBareLf.text()
           : wrong.bare_cr ? smtp::reply::kBareCr.text()
                           : smtp::reply::kNulInMessage.text());
  }
}

void MessageRelay::GiveUp(std::string_view reply) {
  reply_ = reply;
  // Not at a boundary: it is closed, and no dot was sent.
  lease_.Return();
}

Task<void> MessageRelay::HearEarlyReply() {
  const io::Time deadline =
      services_.loop.Now() + services_.settings.backend_timeout;
  lease_->ExpectReply();
  auto early = co_await lease_->ReadReply(deadline, BackendStep::kMessage);
  // Only a refusal can be meant before the message has ended.
  const bool refusal = early.ok() && early->code >= 400;
  outcome_unknown_ = !refusal && dot_sent_;
  if (refusal) {
    GiveUp(early->text);
  } else {
    GiveUpLost();
  }
}

void MessageRelay::GiveUpLost() {
  GiveUp(outcome_unknown_ ? smtp::reply::kOutcomeUnknown.text()
                          : smtp::reply::kBackendLost.text());
}

Task<void> MessageRelay::HearFinalReply() {
  const io::Time deadline =
      services_.loop.Now() + services_.settings.backend_data_done_timeout;
  lease_->ExpectReply();
  auto final_reply =
      co_await lease_->ReadReply(deadline, BackendStep::kMessage);
  // 3yz is the answer to something else: replies have come apart.
  if (!final_reply.ok() || final_reply->code / 100 == 3) {
    // Delivered or not, nobody knows: the client decides what to do next
    // (RFC 5321 section 4.5.3.2.6). Never a retry from here.
    outcome_unknown_ = true;
    GiveUp(smtp::reply::kOutcomeUnknown.text());
    co_return;
  }
  accepted_ = final_reply->is_success();
  if (accepted_) lease_->errors = 0;
  if (final_reply->code != 421) lease_.AtBoundary();
  reply_ = std::move(final_reply->text);
  lease_.Return();
}

}  // namespace tlspost
