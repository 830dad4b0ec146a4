#include "bench/sink/control_server.h"

#include <charconv>
#include <utility>

#include "common/base/co_try.h"
#include "common/io/stream.h"

namespace tlspost {
namespace {

constexpr size_t kMaxQuestionOctets = 100;
constexpr size_t kPieceOctets = 65536;  // of a page, written at once

// "LEDGER 00ff" gives 255; false when it is no such question.
bool ParseLedgerQuestion(std::string_view question, uint64_t* run) {
  constexpr std::string_view kVerb = "LEDGER ";
  if (!question.starts_with(kVerb)) return false;
  question.remove_prefix(kVerb.size());
  const char* end = question.data() + question.size();
  const auto [rest, error] = std::from_chars(question.data(), end, *run, 16);
  return error == std::errc() && rest == end;
}

}  // namespace

absl::Status SinkControlServer::Listen(const io::Endpoint& endpoint) {
  auto listener = loop_.Listen(endpoint, io::ListenOptions());
  if (!listener.ok()) return listener.status();
  listener_ = *std::move(listener);
  tasks_.Spawn(AcceptAll());
  return absl::OkStatus();
}

Task<void> SinkControlServer::AcceptAll() {
  while (true) {
    auto accepted = co_await listener_->Accept();
    if (!accepted.ok()) co_return;
    tasks_.Spawn(Serve(*std::move(accepted)));
  }
}

Task<void> SinkControlServer::Serve(std::unique_ptr<io::Stream> stream) {
  const absl::Status end = co_await Answer(*stream);
  static_cast<void>(end);  // who asks may go as they like
}

Task<absl::Status> SinkControlServer::Answer(io::Stream& stream) {
  std::string question;
  while (!question.ends_with('\n')) {
    const io::Time deadline = loop_.Now() + kPatience;
    CO_TRY_LET(chunk, co_await stream.Read(deadline));
    if (chunk.empty() || question.size() > kMaxQuestionOctets) {
      co_return absl::OkStatus();
    }
    question += chunk.view();
  }
  while (question.ends_with('\n') || question.ends_with('\r')) {
    question.pop_back();
  }
  uint64_t run = 0;
  if (ParseLedgerQuestion(question, &run)) {
    absl::Status written = co_await WritePage(stream, run);
    co_return written;
  }
  std::string answer = "ERROR ask LEDGER RUN or STATS\n";
  if (question == "STATS") answer = counts_();
  const io::Time deadline = loop_.Now() + kPatience;
  absl::Status written = co_await stream.Write(answer, deadline);
  co_return written;
}

Task<absl::Status> SinkControlServer::WritePage(io::Stream& stream,
                                                uint64_t run) {
  const verify::LedgerPage page = ledger_.PageOf(run);
  std::string piece;
  for (const verify::LedgerEntry& entry : page.entries) {
    piece += verify::FormatLedgerLine(entry);
    if (piece.size() < kPieceOctets) continue;
    const io::Time deadline = loop_.Now() + kPatience;
    CO_TRY(co_await stream.Write(piece, deadline));
    piece.clear();
  }
  piece += verify::FormatLedgerEnd(page);
  const io::Time deadline = loop_.Now() + kPatience;
  absl::Status written = co_await stream.Write(piece, deadline);
  co_return written;
}

}  // namespace tlspost
