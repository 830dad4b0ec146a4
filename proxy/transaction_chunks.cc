// BDAT within a transaction: the chunks, and what may stand between them.

#include <memory>
#include <optional>
#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/smtp/bdat.h"
#include "proxy/client_conduct.h"
#include "proxy/transaction.h"

namespace tlspost {

using smtp::Verb;

// Answers what the way that the client has chosen for its message leaves no
// room for (RFC 3030 sections 2 and 3). True: it is answered.
bool Transaction::RefuseOutOfPlace(Verb verb) {
  if (chunks_ == nullptr) {
    if (verb != Verb::kData || !mail_.body_binary) return false;
    AddLocal(verb, smtp::reply::kBinaryNeedsBdat);
    return true;
  }
  if (verb == Verb::kMail) AddLocal(verb, smtp::reply::kMailAfterBdat);
  if (verb == Verb::kRcpt) AddLocal(verb, smtp::reply::kRcptAfterBdat);
  if (verb == Verb::kData) AddLocal(verb, smtp::reply::kDataAfterBdat);
  return verb == Verb::kMail || verb == Verb::kRcpt || verb == Verb::kData;
}

// Takes the BDAT that is next, and its chunk.
Task<absl::Status> Transaction::RelayChunk() {
  const std::optional<ClientChannel::Line> line = client_.TakeLine();
  TLSPOST_CHECK(line.has_value());  // Collect has put it back
  const smtp::ReplyOr<smtp::BdatArguments> parsed =
      smtp::ParseBdat(smtp::ParseCommand(line->text));
  if (!parsed.ok()) {
    Say(Verb::kBdat, parsed.refusal().text());
    co_return MakeStatus(absl::StatusCode::kInvalidArgument, kUnknownChunkSize);
  }
  const smtp::BdatArguments chunk = *parsed;
  // It brings the message no nearer, and might go on for ever.
  if (chunk.size == 0 && !chunk.last) NoteJunk(services_, state_);
  if (chunks_ == nullptr) BeginChunks();
  const bool had_failed = chunks_->failed();
  absl::Status end = co_await chunks_->Run(chunk);
  if (!chunks_->reply().empty()) AnswerChunk(had_failed);
  // The rest of a transaction needs no connection unless it is the client's.
  if (chunk.last || (!lease_ && state_.authenticated())) open_ = false;
  chunks_ended_ = chunks_ended_ || chunk.last;
  co_return end;
}

void Transaction::BeginChunks() {
  relayed_ = true;
  chunks_ = std::make_unique<ChunkRelay>(services_, client_, lease_,
                                         ReceivedHeader());
  if (!lease_->capabilities().chunking) {
    chunks_->Fail((state_.offered & smtp::kChunkingOption) != 0
                      ? smtp::reply::kChunkingNotNow.text()
                      : smtp::reply::kNotImplemented.text());
  } else if (recipient_count_ == 0) {
    chunks_->Fail(smtp::reply::kNoValidRecipients.text());
  }
}

void Transaction::AnswerChunk(bool had_failed) {
  const SpareString reply(ForClient(SpareCopy(chunks_->reply())));
  if (!had_failed) return Say(Verb::kBdat, *reply);
  // Chunks that were on their way already are no errors of the client.
  CountCommand(services_, state_, Verb::kBdat, false);
  client_.Say(*reply);
}

// A message that was begun by BDAT has its line in the log, however it ended.
void Transaction::CloseChunks(const absl::Status& end) {
  const bool left = end.ok() && !chunks_ended_ && !chunks_->failed();
  NoteOutcome(chunks_->outcome(),
              left ? absl::CancelledError("left unfinished") : end,
              chunks_->started());
}

}  // namespace tlspost
