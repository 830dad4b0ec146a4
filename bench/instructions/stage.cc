// Sets the scene and plays the peers between the worker's turns.

#include "bench/instructions/stage.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/tls/self_signed.h"

namespace tlspost::still {

// Not in a namespace without a name, and never inlined: bench/instructions/
// check.py counts what happens within CountedTurn.
[[gnu::noinline]] void CountedTurn(StillLoop& loop) { loop.RunReady(); }
[[gnu::noinline]] void PreparingTurn(StillLoop& loop) {
  loop.RunReady();
  asm volatile("");  // or the two were one function
}

namespace {

constexpr std::string_view kEhlo = "EHLO mail-out-7.client.example\r\n";

Settings SettingsOf(const StageOptions& options) {
  Settings settings;
  settings.hostname = "mx.example";
  settings.backend_max_connections = options.backend_connections;
  settings.backend_warm_spares = 0;
  settings.backend_max_uses = 1'000'000'000;
  settings.max_connections = 100'000;
  settings.client_connection_count_limit = 0;
  settings.junk_command_limit = 1'000'000;
  // As in a process: the worker's part of logging is counted, the writer
  // thread's is not.
  settings.log_file = "/dev/null";
  return settings;
}

std::unique_ptr<Log> LogOf(const Settings& settings) {
  auto log = OpenLog({.file = settings.log_file,
                      .syslog_name = settings.syslog_name,
                      .hostname = settings.hostname,
                      .queue_lines = 65536});
  TLSPOST_CHECK(log.ok());
  return *std::move(log);
}

std::shared_ptr<tls::TlsContext> ServerTls(const StageOptions& options) {
  tls::ServerTlsOptions tls;
  if (options.cert_file.empty()) {
    tls::SelfSigned made = tls::GenerateSelfSigned("mx.example");
    tls.certificates.push_back(
        {"", "", std::move(made.cert_pem), std::move(made.key_pem)});
  } else {
    tls.certificates.push_back({options.cert_file, options.key_file, "", ""});
  }
  auto context = tls::TlsContext::CreateServer(tls);
  TLSPOST_CHECK(context.ok());
  return *std::move(context);
}

}  // namespace

Stage::Stage(const StageOptions& options)
    : settings_(SettingsOf(options)), log_(LogOf(settings_)) {
  const io::Endpoint server = *io::Endpoint::FromIp("10.0.0.1", 25);
  shared_ = std::make_unique<WorkerShared>(
      settings_, std::vector<BackendAddress>{{server.ToString(), server}},
      /*workers=*/1, *log_);
  worker_ = std::make_unique<Worker>(
      loop_, *shared_, WorkerTls{ServerTls(options), nullptr}, "BENCH");
  const io::Endpoint front = *io::Endpoint::FromIp("203.0.113.1", 25);
  TLSPOST_CHECK(worker_->Listen({{front, /*implicit_tls=*/false}}).ok());
  worker_->Start();
  auto client_tls = tls::TlsContext::CreateClient(tls::ClientTlsOptions());
  TLSPOST_CHECK(client_tls.ok());
  client_tls_ = *std::move(client_tls);
  Turn();
}

Stage::~Stage() {
  counting_ = false;
  worker_->Drain();
  loop_.Run();
}

void Stage::Turn() {
  while (true) {
    if (!counting_) {
      PreparingTurn(loop_);
    } else {
      if (on_count_ != nullptr) on_count_(true);
      CountedTurn(loop_);
      if (on_count_ != nullptr) on_count_(false);
    }
    bool something = servers_.size() < loop_.dialled().size();
    while (servers_.size() < loop_.dialled().size()) {
      servers_.push_back(
          std::make_unique<MailServer>(loop_.dialled()[servers_.size()]));
    }
    for (const auto& server : servers_) {
      if (server->Answer()) something = true;
    }
    if (!something) return;
  }
}

std::unique_ptr<Client> Stage::Connect() {
  const int number = clients_++;
  const std::string address =
      absl::StrFormat("192.168.%d.%d", number / 250 % 250, number % 250 + 1);
  auto client = std::make_unique<Client>(
      loop_.Connect(*io::Endpoint::FromIp(address, 40000)));
  Exchange(*client, "", "220 ");
  return client;
}

std::string Stage::Exchange(Client& client, std::string_view words,
                            std::string_view reply) {
  client.Say(words);
  Turn();
  std::string heard = client.Hear();
  const bool refused = heard.find("\r\n4") != std::string::npos ||
                       heard.find("\r\n5") != std::string::npos;
  if (!heard.starts_with(reply) || refused) {
    CheckFailed("an unexpected reply", heard.c_str(), __FILE__, __LINE__);
  }
  return heard;
}

void Stage::StartTls(Client& client, bool resume) {
  Exchange(client, kEhlo, "250-");
  Exchange(client, "STARTTLS\r\n", "220 ");
  client.BeginTls(client_tls_, resume ? session_.get() : nullptr);
  while (!client.Shake()) Turn();
  TLSPOST_CHECK(client.engine()->Describe().reused ==
                (resume && session_ != nullptr));
  Exchange(client, kEhlo, "250-");
  if (session_ == nullptr) session_ = client.engine()->TakeSession();
}

void Stage::Quit(std::unique_ptr<Client> client) {
  Exchange(*client, "QUIT\r\n", "221 ");
  client->End();
  Turn();
}

uint64_t Stage::messages() const {
  uint64_t sum = 0;
  for (const auto& server : servers_) sum += server->messages();
  return sum;
}

uint64_t Stage::introductions() const {
  uint64_t sum = 0;
  for (const auto& server : servers_) sum += server->introductions();
  return sum;
}

uint64_t Stage::backend_writes() const {
  uint64_t sum = 0;
  for (const auto& server : servers_) sum += server->wire().writes();
  return sum;
}

}  // namespace tlspost::still
