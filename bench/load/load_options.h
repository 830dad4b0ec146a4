// What tlspost-load can be asked for. Plain values; declared once, in the .cc.

#ifndef TLSPOST_BENCH_LOAD_LOAD_OPTIONS_H_
#define TLSPOST_BENCH_LOAD_LOAD_OPTIONS_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "bench/cli/option_table.h"
#include "common/io/time.h"

namespace tlspost::load {

enum class TlsMode { kNone, kStartTls, kImplicit };
enum class TlsVersions { kAny, kTls12, kTls13 };
enum class Arrivals { kUniform, kPoisson };

struct LoadOptions {
  std::string server = "127.0.0.1:25";
  bool allow_remote = false;

  TlsMode tls = TlsMode::kStartTls;
  TlsVersions tls_version = TlsVersions::kAny;
  std::string ciphers;
  std::string ciphersuites;
  std::string groups;
  std::string server_name;
  bool resume = false;

  int64_t clients = 10;
  int64_t threads = 1;
  int64_t sources = 1;
  double session_rate = 0;
  double rate = 0;
  Arrivals arrivals = Arrivals::kUniform;
  io::Duration ramp{};
  io::Duration warm_up{};
  io::Duration duration{};
  int64_t count = 0;
  int64_t sessions = 0;
  io::Duration timeout = std::chrono::seconds(30);

  std::string helo = "load.example";
  int64_t messages = 1;
  std::string size = "4k";
  int64_t recipients = 1;
  std::string from = "load-%@load.example";
  std::string to = "user%@sink.example";
  bool pipelining = false;
  bool bdat = false;
  int64_t chunk_size = 0;
  int64_t noops = 0;
  io::Duration pause{};
  io::Duration hold{};

  std::string verify;
  std::string json;
  bool quiet = false;
};

// Lets `table` read and explain `options`.
void Describe(LoadOptions& options, cli::OptionTable& table);

extern const std::string_view kLoadUsage;

// Fills in what follows from the rest, and refuses combinations that make no
// sense, in one line with the remedy.
absl::Status Settle(LoadOptions& options);

}  // namespace tlspost::load

#endif  // TLSPOST_BENCH_LOAD_LOAD_OPTIONS_H_
