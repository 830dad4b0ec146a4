// The conversation, but for its messages (load_session_mail.cc).

#include "bench/load/load_session.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_format.h"
#include "bench/measure/clock.h"
#include "common/base/co_try.h"
#include "common/base/status.h"
#include "common/io/stream.h"
#include "common/smtp/capabilities.h"
#include "common/smtp/tls_summary.h"

namespace tlspost::load {
namespace {

using measure::NowExactly;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

// Whoever pauses looks so often whether the run is over.
constexpr io::Duration kPauseSlice = 100ms;
// For the end of a connection that has said QUIT.
constexpr io::Duration kLingerTimeout = 2s;

std::string_view NameOf(Phase phase) {
  return kPhaseNames[static_cast<size_t>(phase)];
}

// What became of a connection, in a word or two.
std::string_view KindOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kDeadlineExceeded:
      return "timeout";
    case absl::StatusCode::kInvalidArgument:
      return "broke TLS";
    default:
      return "lost";
  }
}

}  // namespace

Task<absl::Status> LoadSession::Run() {
  CO_TRY(co_await Open());
  CO_TRY(co_await SayNoops());
  CO_TRY(co_await SendMessages());
  co_await Pause(options_.hold);
  absl::Status ended = co_await Quit();
  co_return ended;
}

// --- opening and closing ----------------------------------------------------

Task<absl::Status> LoadSession::Open() {
  CO_TRY(co_await Connect());
  if (options_.tls == TlsMode::kImplicit) CO_TRY(co_await Handshake());
  asked_ = NowExactly();
  CO_TRY(co_await Hear(Phase::kGreeting));
  if (!Positive()) {
    const absl::Status refused = Refused(Phase::kGreeting);
    co_return absl::UnavailableError("not greeted");
  }
  CO_TRY(co_await Hello());
  if (options_.tls != TlsMode::kStartTls) co_return absl::OkStatus();
  CO_TRY(co_await StartTls());
  absl::Status greeted = co_await Hello();
  co_return greeted;
}

Task<absl::Status> LoadSession::Connect() {
  asked_ = NowExactly();
  const io::Time deadline = services_.loop.Now() + options_.timeout;
  io::ConnectOp connect(services_.loop, services_.plan.server, deadline);
  auto connected = co_await connect;
  if (!connected.ok()) co_return Lost(Phase::kConnect, connected.status());
  services_.results.Took(Phase::kConnect, NowExactly() - asked_);
  stream_ = std::make_unique<tls::TlsStream>(*std::move(connected));
  co_return absl::OkStatus();
}

Task<absl::Status> LoadSession::Hello() {
  const std::string line = "EHLO " + options_.helo + "\r\n";
  CO_TRY(co_await Ask(Phase::kEhlo, line));
  if (!Positive()) {
    const absl::Status refused = Refused(Phase::kEhlo);
    co_return absl::UnavailableError("EHLO was refused");
  }
  server_pipelines_ = smtp::ParseEhlo(parser_.text()).pipelining;
  co_return absl::OkStatus();
}

Task<absl::Status> LoadSession::StartTls() {
  CO_TRY(co_await Ask(Phase::kStartTls, "STARTTLS\r\n"));
  if (!Positive()) {
    const absl::Status refused = Refused(Phase::kStartTls);
    co_return absl::UnavailableError("STARTTLS was refused");
  }
  absl::Status shaken = co_await Handshake();
  co_return shaken;
}

Task<absl::Status> LoadSession::Handshake() {
  auto engine = std::make_unique<tls::TlsEngine>(services_.tls);
  if (!options_.server_name.empty()) {
    engine->SetServerName(options_.server_name);
  }
  if (options_.resume && ticket_ != nullptr) engine->SetSession(*ticket_);
  asked_ = NowExactly();
  const io::Time deadline = services_.loop.Now() + options_.timeout;
  const absl::Status shaken =
      co_await stream_->StartTls(std::move(engine), deadline);
  if (!shaken.ok()) co_return Lost(Phase::kHandshake, shaken);
  Results& results = services_.results;
  results.Took(Phase::kHandshake, NowExactly() - asked_);
  ++results.handshakes;
  // To describe a connection costs more than to look at one flag.
  if (!options_.resume && !results.tls.empty()) co_return absl::OkStatus();
  const TlsDescription tls = stream_->engine()->Describe();
  if (tls.reused) ++results.resumed;
  if (results.tls.empty()) results.tls = smtp::FormatTlsSummary(tls);
  co_return absl::OkStatus();
}

Task<absl::Status> LoadSession::SayNoops() {
  for (int64_t i = 0; i < options_.noops; ++i) {
    if (services_.budget.stopped()) break;
    if (i > 0) co_await Pause(options_.pause);
    CO_TRY(co_await Ask(Phase::kNoop, "NOOP\r\n"));
    if (!Positive()) CO_TRY(Refused(Phase::kNoop));
  }
  co_return absl::OkStatus();
}

Task<absl::Status> LoadSession::Quit() {
  CO_TRY(co_await Ask(Phase::kQuit, "QUIT\r\n"));
  if (!Positive()) CO_TRY(Refused(Phase::kQuit));
  if (options_.resume && stream_->engine() != nullptr) {
    std::unique_ptr<tls::TlsSession> ticket = stream_->engine()->TakeSession();
    if (ticket != nullptr) ticket_ = std::move(ticket);
  }
  const io::Time deadline = services_.loop.Now() + kLingerTimeout;
  co_await stream_->Linger(deadline);
  co_return absl::OkStatus();
}

// --- words ------------------------------------------------------------------

Task<absl::Status> LoadSession::Ask(Phase phase, std::string_view line) {
  asked_ = NowExactly();
  CO_TRY(co_await Write(phase, line, std::string_view()));
  absl::Status heard = co_await Hear(phase);
  co_return heard;
}

Task<absl::Status> LoadSession::Write(Phase phase, std::string_view first,
                                      std::string_view second) {
  const io::Time deadline = services_.loop.Now() + options_.timeout;
  const absl::Status written = co_await stream_->Write(first, second, deadline);
  if (!written.ok()) co_return Lost(phase, written);
  co_return absl::OkStatus();
}

Task<absl::Status> LoadSession::Hear(Phase phase) {
  using ParseResult = smtp::ReplyParser::Result;
  const io::Time deadline = services_.loop.Now() + options_.timeout;
  while (true) {
    size_t consumed = 0;
    const ParseResult result = parser_.Parse(chunk_.view(), &consumed);
    chunk_.Consume(consumed);
    if (result == ParseResult::kComplete) break;
    if (result == ParseResult::kMalformed) {
      NoteError(phase, "no SMTP reply", parser_.error());
      co_return absl::DataLossError("no SMTP reply");
    }
    auto chunk = co_await stream_->Read(deadline);
    if (!chunk.ok()) co_return Lost(phase, chunk.status());
    if (chunk->empty()) {
      const absl::Status closed =
          absl::UnavailableError("closed by the server");
      co_return Lost(phase, closed);
    }
    chunk_ = *std::move(chunk);
  }
  services_.results.Took(phase, NowExactly() - asked_);
  co_return absl::OkStatus();
}

Task<void> LoadSession::Pause(io::Duration duration) {
  const io::Time end = services_.loop.Now() + duration;
  while (services_.loop.Now() < end && !services_.budget.stopped()) {
    const io::Time until = std::min(end, services_.loop.Now() + kPauseSlice);
    co_await io::SleepOp(services_.loop, until);
  }
}

absl::Status LoadSession::Refused(Phase phase) {
  NoteError(phase, std::to_string(code()), parser_.last_line());
  if (code() == 421) return absl::UnavailableError("421");
  return absl::OkStatus();
}

absl::Status LoadSession::Lost(Phase phase, const absl::Status& why) {
  NoteError(phase, KindOf(why), MessageOf(why));
  return why;
}

void LoadSession::NoteError(Phase phase, std::string_view what,
                            std::string_view example) {
  services_.results.Failed(absl::StrFormat("%s %s", NameOf(phase), what),
                           example);
  ++services_.budget.errors;
}

}  // namespace tlspost::load
