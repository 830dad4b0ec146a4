// Streams chunks to the backend; keeps promises 1 and 4 of the design.

#include "proxy/chunk_relay.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/base/co_try.h"
#include "common/smtp/reply.h"
#include "proxy/hop_limit.h"
#include "proxy/message_relay.h"

namespace tlspost {

Task<absl::Status> DiscardChunk(SessionServices& services,
                                ClientChannel& client, DataPace& pace,
                                uint64_t octets) {
  if (octets > MessageRelay::kMaxDrainOctets) {
    co_return absl::ResourceExhaustedError("endless chunk after refusal");
  }
  while (octets > 0) {
    if (client.unread().empty()) {
      if (client.needs_flush()) CO_TRY(co_await client.Flush());
      const io::Time began = services.loop.Now();
      const io::Time deadline = pace.Deadline(began);
      CO_TRY(co_await client.Fill(deadline));
      pace.Note(client.unread().size(), services.loop.Now() - began);
    }
    const size_t piece = std::min<uint64_t>(octets, client.unread().size());
    client.Consume(piece);
    octets -= piece;
  }
  co_return absl::OkStatus();
}

ChunkRelay::ChunkRelay(SessionServices& services, ClientChannel& client,
                       Lease& lease, std::string header)
    : services_(services),
      client_(client),
      lease_(lease),
      started_(services.loop.Now()),
      hops_(services.settings.hostname, services.settings.mail_name),
      pace_(services.settings.data_timeout, services.settings.min_data_rate),
      header_(std::move(header)) {}

Task<absl::Status> ChunkRelay::Run(smtp::BdatArguments chunk) {
  KeepSpareString(reply_);
  left_ = chunk.size;
  last_ = chunk.last;
  if (!failed()) CheckLimits(chunk);
  if (!failed()) CO_TRY(co_await Pass(chunk));
  if (left_ == 0) co_return absl::OkStatus();
  dropped_ += left_;
  if (dropped_ > MessageRelay::kMaxDrainOctets) {
    co_return absl::ResourceExhaustedError("endless message after refusal");
  }
  absl::Status dropped =
      co_await DiscardChunk(services_, client_, pace_, left_);
  co_return dropped;
}

void ChunkRelay::CheckLimits(const smtp::BdatArguments& chunk) {
  const uint64_t limit = services_.settings.message_size_limit;
  const bool too_big = limit > 0 && chunk.size > limit - octets_;
  if (!too_big) return;
  ++services_.counters.limits_hit[Limit::kMessageSize];
  Fail(smtp::reply::kChunkTooBig.text());
}

// To the backend with it, until the end of the chunk or a failure. An error:
// the client is lost, and so is the lease: the backend waits for a rest that
// will not come.
Task<absl::Status> ChunkRelay::Pass(smtp::BdatArguments chunk) {
  smtp::BdatArguments with_header = chunk;
  with_header.size += header_.size();
  command_ = TakeSpareString();
  smtp::AppendBdat(with_header, command_);
  command_ += header_;
  KeepSpareString(header_);
  // Nothing was asked since the chunk before this one was answered: whatever
  // it is, it would be taken for the answer to this one.
  if (lease_->readable()) Lose();
  if (failed()) co_return absl::OkStatus();
  const std::string_view nothing;
  if (left_ == 0) co_await Forward(nothing);
  while (left_ > 0 && !failed()) {
    absl::Status filled = co_await Fill(io::kNever);
    if (!filled.ok()) {
      lease_.Return();
      co_return filled;
    }
    const std::string_view piece = client_.unread().substr(0, left_);
    left_ -= piece.size();
    octets_ += piece.size();
    hops_.Look(piece);
    const std::optional<smtp::Reply> refusal = RefuseHops(hops_, services_);
    if (refusal.has_value()) {
      // In mid-chunk: it is closed, and the backend has no message.
      Fail(refusal->text());
      lease_.Return();
    } else {
      co_await Forward(piece);
    }
    client_.Consume(piece.size());
  }
  if (!failed()) co_await HearReply();
  co_return absl::OkStatus();
}

Task<absl::Status> ChunkRelay::Fill(io::Time no_later) {
  if (!client_.unread().empty()) co_return absl::OkStatus();
  // A client may wait for earlier replies before it sends the chunk.
  if (client_.needs_flush()) CO_TRY(co_await client_.Flush());
  const io::Time began = services_.loop.Now();
  const io::Time deadline = std::min(pace_.Deadline(began), no_later);
  absl::Status filled = co_await client_.Fill(deadline);
  if (absl::IsDeadlineExceeded(filled)) {
    ++services_.counters.messages_too_slow;
    ++services_.counters.limits_hit[Limit::kDataTimeout];
  }
  pace_.Note(client_.unread().size(), services_.loop.Now() - began);
  co_return filled;
}

Task<void> ChunkRelay::Forward(std::string_view piece) {
  if (lease_->readable()) {
    co_await HearEarlyReply();
    co_return;
  }
  const io::Time deadline =
      services_.loop.Now() + services_.settings.backend_timeout;
  end_sent_ = last_ && left_ == 0;
  const absl::Status sent =
      co_await lease_->SendData(command_, piece, deadline);
  KeepSpareString(command_);
  if (sent.ok()) co_return;
  // A server that refuses in mid-chunk says why before it closes.
  if (lease_->readable()) {
    co_await HearEarlyReply();
  } else {
    Lose();
  }
}

Task<void> ChunkRelay::HearEarlyReply() {
  const io::Time deadline =
      services_.loop.Now() + services_.settings.backend_timeout;
  lease_->ExpectReply();
  auto early = co_await lease_->ReadReply(deadline, BackendStep::kBdat);
  // Only a refusal can be meant before the chunk has ended. What the server
  // makes of the rest is uncertain: the connection is of no more use.
  if (early.ok() && early->code >= 400) {
    Fail(early->text);
    lease_.Return();
  } else {
    Lose();
  }
}

Task<void> ChunkRelay::HearReply() {
  const io::Time deadline =
      services_.loop.Now() + (last_
                                  ? services_.settings.backend_data_done_timeout
                                  : services_.settings.backend_timeout);
  lease_->ExpectReply();
  auto reply = co_await lease_->ReadReply(deadline, BackendStep::kBdat);
  // RFC 3030 section 2: another success than 250, or a 3yz, is the answer to
  // something else: replies have come apart.
  const bool answers = reply.ok() && (reply->code == 250 || reply->code >= 400);
  if (!answers) {
    Lose();
  } else if (!reply->is_success()) {
    Fail(reply->text);
    if (reply->code == 421) lease_.Return();
  } else {
    reply_ = std::move(reply->text);
    accepted_ = last_;
  }
  if (!accepted_) co_return;
  lease_->errors = 0;
  lease_.AtBoundary();
  lease_.Return();
}

void ChunkRelay::Fail(std::string_view reply) {
  if (failed()) return;
  failure_ = reply;
}

void ChunkRelay::Lose() {
  // Delivered or not, nobody knows: the client decides what to do next
  // (RFC 5321 section 4.5.3.2.6). Never a retry from here.
  outcome_unknown_ = end_sent_;
  Fail(outcome_unknown_ ? smtp::reply::kOutcomeUnknown.text()
                        : smtp::reply::kBackendLost.text());
  lease_.Return();
}

}  // namespace tlspost
