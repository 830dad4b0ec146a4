#include "proxy/memory_budget.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/io/engine.h"
#include "common/io/stream.h"
#include "common/smtp/reply_parser.h"
#include "common/tls/tls_engine.h"
#include "proxy/client_channel.h"
#include "proxy/client_limits.h"
#include "proxy/transaction.h"

namespace tlspost {
namespace {

// What one idle session costs us (the size budget's test holds it).
constexpr uint64_t kSession = 1024;
// OpenSSL's state of one connection, and its buffers while there is traffic.
constexpr uint64_t kTlsState = 15 << 10;
constexpr uint64_t kTlsBuffers = 33 << 10;
// A receive buffer of a ring; the rings themselves, a worker's OpenSSL
// library, its stack and heap when nobody is there.
constexpr uint64_t kReceiveBuffer = 8192;
constexpr uint64_t kWorkerBase = 8 << 20;
// The program, its threads' stacks and what it loaded.
constexpr uint64_t kProcessBase = 32 << 20;
// A log line of usual length in the queue, and an entry of ClientLimits.
constexpr uint64_t kLogLine = 1024;
constexpr uint64_t kRememberedClient = 256;

uint64_t Count(int64_t number) { return static_cast<uint64_t>(number); }

// Everything that one client may make us hold: what it has sent and nobody
// has read, replies it does not take, a group of commands, and TLS.
uint64_t BusyClient(const Settings& settings) {
  return kSession + io::Stream::kMaxInboxMemory +
         ClientChannel::kMaxPendingReplies + Transaction::kMaxGroupOctets +
         settings.line_length_limit + kTlsState + kTlsBuffers;
}

std::string Amount(uint64_t octets) {
  constexpr std::array<std::string_view, 4> kUnits = {"KiB", "MiB", "GiB",
                                                      "TiB"};
  double amount = static_cast<double>(octets) / 1024;
  size_t unit = 0;
  while (amount >= 1024 && unit + 1 < kUnits.size()) {
    amount /= 1024;
    ++unit;
  }
  return absl::StrFormat("%.*f %s", amount < 10 ? 1 : 0, amount, kUnits[unit]);
}

}  // namespace

std::vector<MemoryTerm> WorstCaseMemory(const Settings& settings, int workers,
                                        int clients) {
  const uint64_t buffers = io::LoopOptions().receive_buffers * kReceiveBuffer;
  return {
      {"clients", Count(clients), BusyClient(settings)},
      {"handshakes", Count(std::min(settings.tls_handshake_limit, clients)),
       tls::TlsEngine::kMaxClientHelloOctets +
           tls::TlsEngine::kMaxHandshakeOctets +
           tls::TlsEngine::kMaxPendingOutput},
      {"backend connections", Count(settings.backend_max_connections),
       kSession + io::Stream::kMaxInboxMemory + smtp::kMaxReplyOctets +
           kTlsState + kTlsBuffers},
      {"workers", Count(workers), kWorkerBase + buffers},
      {"log lines", Count(settings.log_queue_size), kLogLine},
      {"remembered clients", ClientLimits::kMaxRemembered, kRememberedClient},
      {"process", 1, kProcessBase},
  };
}

uint64_t SumOf(const std::vector<MemoryTerm>& terms) {
  uint64_t sum = 0;
  for (const MemoryTerm& term : terms) sum += term.count * term.octets;
  return sum;
}

std::string DescribeMemory(const std::vector<MemoryTerm>& terms) {
  std::vector<std::string> parts;
  for (const MemoryTerm& term : terms) {
    parts.push_back(
        absl::StrFormat("%s %s", term.what, Amount(term.count * term.octets)));
  }
  return absl::StrFormat("at most %s with every bound reached (%s)",
                         Amount(SumOf(terms)), absl::StrJoin(parts, ", "));
}

std::string MemoryWarning(const std::vector<MemoryTerm>& terms,
                          const io::MemoryLimit& limit) {
  const uint64_t sum = SumOf(terms);
  if (limit.octets == 0 || sum <= limit.octets) return "";
  return absl::StrFormat(
      "%s may be needed when every bound is reached, and there are %s "
      "(%s); lower max_connections, or raise that",
      Amount(sum), Amount(limit.octets), limit.source);
}

}  // namespace tlspost
