// Stage: one worker of the proxy on a StillLoop, with its peers.
//
// All that the worker does happens in CountedTurn or in PreparingTurn, which
// are functions of their own so that a profiler, or a test, can tell what is
// to be counted from what only prepares it.

#ifndef TLSPOST_BENCH_INSTRUCTIONS_STAGE_H_
#define TLSPOST_BENCH_INSTRUCTIONS_STAGE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/instructions/peers.h"
#include "bench/instructions/still_loop.h"
#include "common/tls/tls_context.h"
#include "proxy/log.h"
#include "proxy/settings.h"
#include "proxy/worker.h"

namespace tlspost::still {

struct StageOptions {
  // The proxy's certificate; empty: a throw-away one for P-256.
  std::string cert_file;
  std::string key_file;
  int backend_connections = 1;
};

class Stage {
 public:
  // Errors of the certificate end the program.
  explicit Stage(const StageOptions& options);
  ~Stage();
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  // Whether the turns from now on are counted.
  void Count(bool on) { counting_ = on; }
  // Called around each turn that is counted.
  void set_on_count(void (*on_count)(bool begins)) { on_count_ = on_count; }

  // Everything that the worker has to do now, the mail server's answers
  // included.
  void Turn();

  // A client from an address of its own, that has heard the greeting.
  std::unique_ptr<Client> Connect();
  // What the client hears, which must begin with `reply` and hold no 4xx or
  // 5xx.
  std::string Exchange(Client& client, std::string_view words,
                       std::string_view reply);
  // EHLO, STARTTLS, the handshake, EHLO.
  void StartTls(Client& client, bool resume = false);
  void Quit(std::unique_ptr<Client> client);

  Worker& worker() { return *worker_; }
  StillLoop& loop() { return loop_; }
  // Messages that the mail server has taken, and names that it was told.
  uint64_t messages() const;
  uint64_t introductions() const;
  size_t backend_connections() const { return servers_.size(); }
  // The proxy's writes to the mail server so far.
  uint64_t backend_writes() const;

 private:
  StillLoop loop_;
  const Settings settings_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<WorkerShared> shared_;
  std::unique_ptr<Worker> worker_;
  std::shared_ptr<tls::TlsContext> client_tls_;
  std::unique_ptr<tls::TlsSession> session_;  // to be resumed
  std::vector<std::unique_ptr<MailServer>> servers_;
  int clients_ = 0;
  bool counting_ = false;
  void (*on_count_)(bool begins) = nullptr;
};

}  // namespace tlspost::still

#endif  // TLSPOST_BENCH_INSTRUCTIONS_STAGE_H_
