// BDAT where no message may begin: the chunk is read all the same, so that
// nothing in it is ever taken for a command (edges 91, 94, 95).

#include <optional>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/smtp/bdat.h"
#include "common/smtp/reply.h"
#include "proxy/chunk_relay.h"
#include "proxy/client_conduct.h"
#include "proxy/session.h"

namespace tlspost {

using smtp::Verb;

Task<absl::Status> Session::RefuseChunk() {
  const std::optional<ClientChannel::Line> line = client_.TakeLine();
  TLSPOST_CHECK(line.has_value());  // Proceed has put it back
  const smtp::ReplyOr<smtp::BdatArguments> chunk =
      smtp::ParseBdat(smtp::ParseCommand(line->text));
  if (!chunk.ok()) {
    Refuse(Verb::kBdat, chunk.refusal());
    co_return MakeStatus(absl::StatusCode::kInvalidArgument, kUnknownChunkSize);
  }
  const uint64_t size = chunk->size;
  const Settings& settings = services_.settings;
  DataPace pace(settings.data_timeout, settings.min_data_rate);
  absl::Status read = co_await DiscardChunk(services_, client_, pace, size);
  // Where it is too much to read, this is the last word.
  if (read.ok() || absl::IsResourceExhausted(read)) {
    Refuse(Verb::kBdat, WhyNoChunk());
  }
  deadline_ = services_.loop.Now() + CommandTimeout(services_);
  co_return read;
}

const smtp::Reply& Session::WhyNoChunk() const {
  if (needs_tls()) return smtp::reply::kMustStartTls;
  const bool offered = (state_.offered & smtp::kChunkingOption) != 0;
  if (!offered && !Capabilities().chunking) return smtp::reply::kNotImplemented;
  return smtp::reply::kNeedMail;
}

}  // namespace tlspost
