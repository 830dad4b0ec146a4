// Moves bytes between an io::Stream and a TlsEngine.

#include "common/tls/tls_stream.h"

#include <string>
#include <utility>

#include "common/base/check.h"
#include "common/base/co_try.h"
#include "common/base/spare_string.h"

namespace tlspost::tls {
namespace {

using Step = TlsEngine::Step;

// What Linger reads and drops at most.
constexpr size_t kMaxLingerOctets = size_t{1} << 20;

absl::Status ErrorOf(Step step, const TlsEngine& engine) {
  switch (step) {
    case Step::kTruncated:
      return absl::DataLossError("lost connection");
    case Step::kClosed:
      return absl::UnavailableError("the peer has closed TLS");
    default:
      return engine.error();
  }
}

}  // namespace

TlsStream::TlsStream(std::unique_ptr<io::Stream> stream)
    : stream_(std::move(stream)) {}

Task<absl::StatusOr<io::Chunk>> TlsStream::Read(io::Time deadline) {
  io::Chunk bytes;
  while (true) {
    const absl::StatusOr<Progress> progress = Next(&bytes);
    if (has_output()) {
      absl::Status flushed = co_await Flush(deadline);
      // Not the silence that `deadline` is about: a part of a record may be
      // out.
      if (absl::IsDeadlineExceeded(flushed)) {
        co_return absl::UnavailableError("the peer takes nothing any more");
      }
      if (!flushed.ok()) co_return flushed;
    }
    if (!progress.ok()) co_return progress.status();
    if (*progress == Progress::kMustFlush) continue;
    if (*progress != Progress::kNeedsInput) co_return bytes;
    auto received = co_await Receive(deadline);
    if (!received.ok()) co_return received;
    Feed(*std::move(received));
  }
}

absl::StatusOr<TlsStream::Progress> TlsStream::Next(io::Chunk* bytes) {
  if (engine_ == nullptr) {
    if (ended_) return Progress::kEnd;
    if (received_.empty()) return Progress::kNeedsInput;
    *bytes = std::move(received_);
    return Progress::kBytes;
  }
  const Step step = ReadInto(bytes);
  switch (step) {
    case Step::kDone:
      return Progress::kBytes;
    case Step::kClosed:
      return Progress::kEnd;
    case Step::kWantRead:
      return Progress::kNeedsInput;
    case Step::kWantWrite:
      return Progress::kMustFlush;
    default:
      return ErrorOf(step, *engine_);
  }
}

void TlsStream::Feed(io::Chunk received) {
  if (engine_ == nullptr) {
    ended_ = received.empty();
    received_ = std::move(received);
  } else if (received.empty()) {
    engine_->SetEof();
  } else {
    received_ = std::move(received);
    engine_->SetInput(received_.view());
  }
}

TlsEngine::Step TlsStream::ReadInto(io::Chunk* plaintext) {
  // A block is taken only when there may be something to put into it.
  io::BlockPool& blocks = stream_->loop().blocks();
  char* block = blocks.Take();
  size_t size = 0;
  const Step step = engine_->Read(block, io::BlockPool::kBlockSize, &size);
  ReleaseUsedInput();
  io::Chunk chunk(&blocks, block, size);
  if (step == Step::kDone) *plaintext = std::move(chunk);
  return step;
}

Task<absl::Status> TlsStream::Flush(io::Time deadline) {
  while (engine_->has_output()) {
    std::string output = engine_->TakeOutput();
    CO_TRY(co_await stream_->Write(output, deadline));
    KeepSpareString(output);
  }
  co_return absl::OkStatus();
}

Task<absl::Status> TlsStream::Write(std::string_view first,
                                    std::string_view second,
                                    io::Time deadline) {
  if (engine_ == nullptr) {
    absl::Status written = co_await stream_->Write(first, second, deadline);
    co_return written;
  }
  CO_TRY(co_await WriteTls(first, deadline));
  CO_TRY(co_await WriteTls(second, deadline));
  absl::Status flushed = co_await Flush(deadline);
  co_return flushed;
}

Task<absl::Status> TlsStream::WriteTls(std::string_view bytes,
                                       io::Time deadline) {
  while (!bytes.empty()) {
    size_t taken = 0;
    const Step step = engine_->Write(bytes, &taken);
    bytes.remove_prefix(taken);
    if (step == Step::kDone) break;
    // In the middle of a KeyUpdate, say, libssl writes nothing.
    if (step == Step::kWantRead) {
      co_return absl::UnavailableError(
          "the peer left a TLS message unfinished");
    }
    if (step != Step::kWantWrite) co_return ErrorOf(step, *engine_);
    CO_TRY(co_await Flush(deadline));
  }
  co_return absl::OkStatus();
}

void TlsStream::ReleaseUsedInput() {
  // libssl has nearly always taken all of it, with plaintext still to come: who
  // has read a line may wait long before it reads the next one.
  if (engine_->input_left() == 0) received_.Release();
}

void TlsStream::Park() {
  if (engine_ == nullptr) {
    if (!received_.empty()) {
      received_ = stream_->loop().blocks().Copy(received_.view());
    }
  } else if (const size_t left = engine_->input_left(); left > 0) {
    const std::string_view all = received_.view();
    received_ = stream_->loop().blocks().Copy(all.substr(all.size() - left));
    engine_->MoveInput(received_.view());
  }
}

size_t TlsStream::DiscardInput() {
  TLSPOST_REQUIRE(engine_ == nullptr);
  const size_t octets = received_.size();
  received_.Release();
  return octets + stream_->DiscardInput();
}

Task<absl::Status> TlsStream::StartTls(std::shared_ptr<TlsContext> context,
                                       io::Time deadline) {
  auto engine = std::make_unique<TlsEngine>(std::move(context));
  absl::Status started = co_await StartTls(std::move(engine), deadline);
  co_return started;
}

Task<absl::Status> TlsStream::StartTls(std::unique_ptr<TlsEngine> engine,
                                       io::Time deadline) {
  TLSPOST_REQUIRE(engine_ == nullptr);
  engine_ = std::move(engine);
  while (true) {
    // A server's steps sign and derive, and anybody may ask for them: those who
    // are through go first. Our own handshakes as a client are few.
    const bool is_work = engine_->is_server() && !received_.empty();
    if (is_work) {
      co_await io::DeferOp(stream_->loop());
      // It may have waited for too long, and the dearest work is not for those.
      if (stream_->closed()) co_return absl::CancelledError("closed here");
      if (stream_->loop().Now() >= deadline) {
        co_return absl::DeadlineExceededError("timeout");
      }
    }
    const Step step = engine_->Handshake();
    ReleaseUsedInput();
    absl::Status flushed = co_await Flush(deadline);
    // After a failure the output was the alert; whether it could be sent says
    // nothing about why.
    if (step == Step::kFailed) co_return ErrorOf(step, *engine_);
    if (!flushed.ok()) co_return flushed;
    if (step == Step::kDone) co_return absl::OkStatus();
    if (step == Step::kWantWrite) continue;
    if (step != Step::kWantRead) co_return ErrorOf(step, *engine_);
    CO_TRY_LET(chunk, co_await stream_->Read(deadline));
    // None of the loop's receive buffers waits in a queue of handshakes.
    io::Loop& loop = stream_->loop();
    const bool queues =
        engine_->is_server() && loop.has_deferred() && !chunk.empty();
    if (queues) chunk = loop.blocks().Copy(chunk.view());
    Feed(std::move(chunk));
  }
}

Task<void> TlsStream::Linger(io::Time deadline) {
  if (engine_ != nullptr && engine_->established()) {
    engine_->Shutdown();
    const absl::Status flushed = co_await Flush(deadline);
    if (!flushed.ok()) co_return;
  }
  received_.Release();
  stream_->ShutdownWrite();
  for (size_t octets = 0; octets < kMaxLingerOctets;) {
    auto chunk = co_await stream_->Read(deadline);
    if (!chunk.ok() || chunk->empty()) co_return;
    octets += chunk->size();
  }
}

}  // namespace tlspost::tls
