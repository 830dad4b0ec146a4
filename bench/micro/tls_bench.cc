// The TLS engine in memory: a server's handshake, and records read.
//
// Only the server's steps are timed. Compare with BM_FloorSign*,
// BM_FloorX25519 and BM_FloorAesGcm of the same run.

#include <benchmark/benchmark.h>

#include <chrono>
#include <ctime>
#include <memory>
#include <string>

#include "common/base/check.h"
#include "common/tls/tls_engine.h"
#include "tests/unit/tls/engine_pair.h"
#include "tests/unit/tls/test_certificates.h"

namespace tlspost::tls {
namespace {

using Seconds = std::chrono::duration<double>;

// Of this thread, so that a busy machine does not count.
Seconds ProcessorTime() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) +
         std::chrono::nanoseconds(now.tv_nsec);
}

// Lets both ends talk until neither has anything to say, the ticket of TLS 1.3
// included; gives the time that `server` took.
Seconds Shake(TlsEngine& client, TlsEngine& server) {
  Seconds server_time{};
  std::string to_server;
  std::string to_client;
  while (true) {
    TLSPOST_CHECK(client.Handshake() != Step::kFailed);
    to_server = client.TakeOutput();
    if (to_server.empty()) break;
    const Seconds begin = ProcessorTime();
    server.SetInput(to_server);
    TLSPOST_CHECK(server.Handshake() != Step::kFailed);
    to_client = server.TakeOutput();
    server_time += ProcessorTime() - begin;
    if (to_client.empty()) break;
    client.SetInput(to_client);
  }
  TLSPOST_CHECK(server.established());
  // While `to_client` lives: the engine's input points into it.
  char block[4096];
  size_t got = 0;
  TLSPOST_CHECK(client.Read(block, sizeof(block), &got) == Step::kWantRead);
  return server_time;
}

void BM_ServerHandshake(benchmark::State& state, KeyKind kind,
                        TlsVersion version, bool resume) {
  ServerTlsOptions server_options;
  server_options.certificates.push_back(SourceOf(SharedIdentity(kind)));
  const auto server_context = ServerContext(server_options);
  ClientTlsOptions client_options;
  client_options.max_version = version;
  const auto client_context = ClientContext(client_options);
  std::unique_ptr<TlsSession> ticket;
  if (resume) {
    TlsEngine client(client_context);
    TlsEngine server(server_context);
    Shake(client, server);
    ticket = client.TakeSession();
    TLSPOST_CHECK(ticket != nullptr);
  }
  for (auto _ : state) {
    TlsEngine client(client_context);
    if (resume) client.SetSession(*ticket);
    const Seconds begin = ProcessorTime();
    auto server = std::make_unique<TlsEngine>(server_context);
    Seconds time = ProcessorTime() - begin;
    time += Shake(client, *server);
    TLSPOST_CHECK(server->Describe().reused == resume);
    const Seconds end_begin = ProcessorTime();
    server.reset();
    time += ProcessorTime() - end_begin;
    state.SetIterationTime(time.count());
  }
}
BENCHMARK_CAPTURE(BM_ServerHandshake, tls13_p256, KeyKind::kP256,
                  TlsVersion::kTls13, false)
    ->UseManualTime();
BENCHMARK_CAPTURE(BM_ServerHandshake, tls13_p256_resumed, KeyKind::kP256,
                  TlsVersion::kTls13, true)
    ->UseManualTime();
BENCHMARK_CAPTURE(BM_ServerHandshake, tls12_p256, KeyKind::kP256,
                  TlsVersion::kTls12, false)
    ->UseManualTime();
BENCHMARK_CAPTURE(BM_ServerHandshake, tls13_rsa2048, KeyKind::kRsa2048,
                  TlsVersion::kTls13, false)
    ->UseManualTime();

// One record of range(0) octets of plaintext.
void BM_ReadRecord(benchmark::State& state) {
  TlsEngine client(ClientContext());
  TlsEngine server(ServerContext());
  Shake(client, server);
  const std::string text(static_cast<size_t>(state.range(0)), 'x');
  std::string block(16384, '\0');
  for (auto _ : state) {
    size_t taken = 0;
    TLSPOST_CHECK(client.Write(text, &taken) == Step::kDone);
    const std::string record = client.TakeOutput();
    const Seconds begin = ProcessorTime();
    server.SetInput(record);
    size_t all = 0;
    size_t got = 0;
    while (server.Read(block.data(), block.size(), &got) == Step::kDone) {
      all += got;
    }
    const Seconds time = ProcessorTime() - begin;
    TLSPOST_CHECK(all == text.size());
    state.SetIterationTime(time.count());
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_ReadRecord)->Arg(256)->Arg(4096)->Arg(16384)->UseManualTime();

}  // namespace
}  // namespace tlspost::tls
