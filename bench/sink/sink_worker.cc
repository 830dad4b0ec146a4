#include "bench/sink/sink_worker.h"

#include <chrono>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_format.h"
#include "bench/verify/mark.h"
#include "common/base/check.h"
#include "common/tls/self_signed.h"
#include "common/tls/tls_context.h"

namespace tlspost {
namespace {

using std::chrono_literals::operator""s;

// A connection may be in the middle of the longest delay.
constexpr io::Duration kStopTimeout = FaultPlan::kMaxDelay + 5s;

std::shared_ptr<tls::TlsContext> ThrowAwayTls() {
  tls::SelfSigned certificate = tls::GenerateSelfSigned("sink.example");
  tls::ServerTlsOptions options;
  options.certificates.push_back({"", "", std::move(certificate.cert_pem),
                                  std::move(certificate.key_pem)});
  auto context = tls::TlsContext::CreateServer(options);
  TLSPOST_CHECK(context.ok());
  return *std::move(context);
}

SinkMta::Options MtaOptions(const SinkOptions& options) {
  SinkMta::Options mta;
  mta.xclient = options.xclient;
  mta.xclient_needs_port = false;  // nginx's mail module has none
  mta.pipelining = options.pipelining;
  mta.chunking = options.chunking;
  if (options.starttls) mta.tls = ThrowAwayTls();
  return mta;
}

std::string FormatCounts(const SinkCounts& counts) {
  return absl::StrFormat(
      "connections %d\nmessages %d\nrecipients %d\noctets %d\n",
      counts.connections.load(), counts.messages.load(),
      counts.recipients.load(), counts.octets.load());
}

}  // namespace

SinkWorker::SinkWorker(io::Loop& loop, const SinkOptions& options,
                       FaultPlan faults, verify::Ledger* ledger,
                       SinkCounts& counts)
    : loop_(loop),
      faults_(std::move(faults)),
      ledger_(ledger),
      counts_(counts),
      sink_(loop, MtaOptions(options)),
      tasks_(loop) {
  sink_.set_on_message(
      [this](const SinkMta::Message& message) { Take(message); });
  sink_.set_mischief(
      [this](const SinkMta::Event& event) {
        if (event.verb == "CONNECT") ++counts_.connections;
        return faults_.At(event);
      },
      /*hears_lines=*/false);
}

SinkWorker::~SinkWorker() = default;

absl::Status SinkWorker::Listen(const io::Endpoint& endpoint) {
  return sink_.Listen(endpoint);
}

absl::Status SinkWorker::ListenForControl(const io::Endpoint& endpoint) {
  control_ = std::make_unique<SinkControlServer>(
      loop_, *ledger_, [this] { return FormatCounts(counts_); });
  return control_->Listen(endpoint);
}

void SinkWorker::Take(const SinkMta::Message& message) {
  ++counts_.messages;
  counts_.recipients += message.recipients.size();
  counts_.octets += message.data.size();
  if (ledger_ == nullptr) return;
  const MessageFault fault = faults_.AtMessage();
  if (fault == MessageFault::kLose) return;
  const auto marked = verify::ReadMarked(message.data);
  if (!marked.has_value()) return ledger_->AddUnmarked();
  verify::LedgerEntry entry;
  entry.run = marked->mark.run;
  entry.sequence = marked->mark.sequence;
  entry.body = marked->body;
  entry.envelope =
      verify::EnvelopeFingerprint(message.sender, message.recipients);
  if (fault == MessageFault::kChange) ++entry.body;
  ledger_->Add(entry);
  if (fault == MessageFault::kDouble) ledger_->Add(entry);
}

void SinkWorker::Stop() {
  if (stopping_) return;
  stopping_ = true;
  tasks_.Spawn(StopAll());
}

Task<void> SinkWorker::StopAll() {
  if (control_ != nullptr) control_->Stop();
  sink_.Stop();
  const io::Time deadline = loop_.Now() + kStopTimeout;
  bool stopped = co_await sink_.Stopped(deadline);
  if (stopped && control_ != nullptr) {
    stopped = co_await control_->Stopped(deadline);
  }
  TLSPOST_CHECK(stopped);
  loop_.Stop();
}

}  // namespace tlspost
