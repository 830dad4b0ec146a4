// One loop, one thread: client, proxy and mail server talk to each other.

#include "proxy/demo/demo.h"

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "common/io/engine.h"
#include "common/tls/self_signed.h"
#include "proxy/demo/demo_client.h"
#include "proxy/demo/sink_mta.h"
#include "proxy/log.h"
#include "proxy/settings.h"
#include "proxy/signals.h"
#include "proxy/worker.h"

namespace tlspost {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

constexpr io::Duration kStopTimeout = 5s;
constexpr io::Duration kPollInterval = 20ms;

// Keeps the lines until the dialogue is over; prints them at once afterwards.
class DemoLog final : public Log {
 public:
  void PrintKept() {
    for (const std::string& line : kept_) std::printf("  %s\n", line.c_str());
    kept_.clear();
    live_ = true;
  }

 protected:
  void Write(std::string_view level, std::string_view line) override {
    std::string text = std::string(level) + std::string(line);
    if (live_) {
      std::printf("  %s\n", text.c_str());
      std::fflush(stdout);
    } else {
      kept_.push_back(std::move(text));
    }
  }

 private:
  bool live_ = false;
  std::vector<std::string> kept_;
};

void PrintMessage(const SinkMta::Message& message) {
  std::printf("\nWhat the mail server behind tlspost received:\n");
  std::printf("  MAIL FROM:<%s>\n", message.sender.c_str());
  for (const std::string& recipient : message.recipients) {
    std::printf("  RCPT TO:<%s>\n", recipient.c_str());
  }
  std::string_view rest = message.data;
  while (!rest.empty()) {
    const size_t end = rest.find("\r\n");
    std::printf("  | %.*s\n", static_cast<int>(std::min(end, rest.size())),
                rest.data());
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 2);
  }
  std::printf("and by XCLIENT, who sent it: ADDR=%s HELO=%s\n",
              message.client.at("ADDR").c_str(), message.helo.c_str());
}

constexpr std::string_view kNextSteps = R"(
Next: put it before a real mail server. With a Postfix on this machine that
listens on 127.0.0.1:10025 and lets us tell it who the client is
(smtpd_authorized_xclient_hosts = 127.0.0.1; the README says how):

  build/release/proxy/tlspost --listen=0.0.0.0:25 --backend=127.0.0.1:10025 \
      --hostname=mx.example.org \
      --tls_cert_file=fullchain.pem --tls_key_file=privkey.pem

  tlspost --help    all settings
)";

class Demo {
 public:
  Demo(io::Loop& loop, bool keep)
      : loop_(loop),
        keep_(keep),
        sink_(loop, SinkMta::Options()),
        tasks_(loop) {
    settings_.hostname = "mx.demo.example";
  }

  absl::Status Start() {
    const absl::StatusOr<io::Endpoint> any_port =
        io::Endpoint::FromIp("127.0.0.1", 0);
    if (!any_port.ok()) return any_port.status();
    const absl::Status sink_listens = sink_.Listen(*any_port);
    if (!sink_listens.ok()) return sink_listens;
    sink_.set_on_message([this](const SinkMta::Message& message) {
      received_ = message;
      if (shown_) PrintMessage(message);
    });
    backend_ = sink_.local();
    shared_ = std::make_unique<WorkerShared>(
        settings_, std::vector<BackendAddress>{{backend_.ToString(), backend_}},
        /*workers=*/1, log_);

    tls::SelfSigned certificate = tls::GenerateSelfSigned(settings_.hostname);
    tls::ServerTlsOptions options;
    options.certificates.push_back({"", "", std::move(certificate.cert_pem),
                                    std::move(certificate.key_pem)});
    auto context = tls::TlsContext::CreateServer(options);
    if (!context.ok()) return context.status();
    worker_ = std::make_unique<Worker>(
        loop_, *shared_, WorkerTls{*std::move(context), nullptr}, "DEMO");
    const absl::Status worker_listens =
        worker_->Listen({{*any_port, /*implicit_tls=*/false}});
    if (!worker_listens.ok()) return worker_listens;
    worker_->Start();
    tasks_.Spawn(Show());
    return absl::OkStatus();
  }

  // The signal's way out.
  void Interrupt() { tasks_.Spawn(Finish()); }
  const absl::Status& result() const { return result_; }

 private:
  Task<void> Show() {
    const io::Endpoint front = worker_->listening().front().endpoint;
    std::printf(
        "tlspost listens on %s with a throw-away certificate;\n"
        "behind it, in plaintext, a mail server on %s.\n\nA client sends one "
        "message:\n",
        front.ToString().c_str(), backend_.ToString().c_str());
    // The first greeting then offers what the mail server offers.
    for (const io::Time end = loop_.Now() + kStopTimeout;
         !worker_->pool().capabilities().has_value() && loop_.Now() < end;) {
      co_await io::SleepOp(loop_, loop_.Now() + kPollInterval);
    }
    DemoClient client(loop_, front);
    result_ = co_await client.SendOneMessage();
    while (worker_->session_count() > 0) {
      co_await io::SleepOp(loop_, loop_.Now() + kPollInterval);
    }
    if (result_.ok()) {
      PrintMessage(received_);
      std::printf("\nWhat tlspost's log says:\n");
      log_.PrintKept();
      std::fwrite(kNextSteps.data(), 1, kNextSteps.size(), stdout);
    }
    shown_ = true;
    if (!keep_ || !result_.ok()) {
      co_await Finish();
      co_return;
    }
    std::printf(
        "\nIt goes on until Ctrl-C. Try, for example:\n"
        "  openssl s_client -quiet -starttls smtp -connect %s\n",
        front.ToString().c_str());
    std::fflush(stdout);
  }

  Task<void> Finish() {
    std::fflush(stdout);
    worker_->Drain();
    sink_.Stop();
    const io::Time deadline = loop_.Now() + kStopTimeout;
    const bool stopped = co_await sink_.Stopped(deadline);
    if (!stopped) result_ = absl::InternalError("the sink did not stop");
  }

  io::Loop& loop_;
  const bool keep_;
  Settings settings_;
  DemoLog log_;
  SinkMta sink_;
  SinkMta::Message received_;
  bool shown_ = false;
  io::Endpoint backend_;
  std::unique_ptr<WorkerShared> shared_;
  std::unique_ptr<Worker> worker_;
  absl::Status result_;
  io::TaskGroup tasks_;
};

int Fail(std::string_view message) {
  std::fprintf(stderr, "tlspost demo: %.*s\n", static_cast<int>(message.size()),
               message.data());
  return 1;
}

}  // namespace

int RunDemo(std::span<const char* const> args) {
  bool keep = false;
  for (const std::string_view arg : args) {
    if (arg != "--keep") {
      return Fail(absl::StrFormat(
          "unknown option \"%s\"; the only one is --keep", arg));
    }
    keep = true;
  }
  SignalWatcher signals;
  auto loop = io::CreateLoop(io::EngineChoice::kAuto, io::LoopOptions());
  if (!loop.ok()) return Fail(MessageOf(loop.status()));
  Demo demo(**loop, keep);
  const absl::Status started = demo.Start();
  if (!started.ok()) return Fail(MessageOf(started));
  signals.Start(
      [&](int) { (*loop)->PostRemote([&demo] { demo.Interrupt(); }); });
  (*loop)->Run();
  signals.Stop();
  return demo.result().ok() ? 0 : Fail(MessageOf(demo.result()));
}

}  // namespace tlspost
