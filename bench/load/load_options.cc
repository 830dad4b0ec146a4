#include "bench/load/load_options.h"

#include <array>

namespace tlspost::load {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""s;

constexpr io::Duration kDefaultDuration = 10s;
constexpr int64_t kMaxMessages = 100'000'000;
// A message that is verified is remembered, 32 bytes each.
constexpr int64_t kMaxVerified = 10'000'000;

constexpr std::array<std::string_view, 3> kTlsWords = {"none", "starttls",
                                                       "implicit"};
constexpr std::array<std::string_view, 3> kVersionWords = {"any", "1.2", "1.3"};
constexpr std::array<std::string_view, 2> kArrivalWords = {"uniform",
                                                           "poisson"};

void DescribeConnection(LoadOptions& options, cli::OptionTable& table) {
  table.Group("The server");
  table.AddText("server", &options.server, "ADDRESS:PORT",
                "The SMTP server under load.");
  table.AddSwitch("allow-remote", &options.allow_remote,
                  "Load a server that is not on this machine. Only for servers "
                  "that are yours.");
  table.AddDuration("timeout", &options.timeout, 1h,
                    "How long a connect, a handshake, a write or a reply may "
                    "take before the connection is given up as failed.");

  table.Group("TLS");
  table.AddChoice("tls", &options.tls, kTlsWords,
                  "Plaintext, STARTTLS, or TLS from the first octet. "
                  "Certificates are not verified.");
  table.AddChoice("tls-version", &options.tls_version, kVersionWords,
                  "The only version to offer.");
  table.AddText("ciphers", &options.ciphers, "LIST",
                "Ciphers up to TLS 1.2, as OpenSSL names them.");
  table.AddText("ciphersuites", &options.ciphersuites, "LIST",
                "Ciphers of TLS 1.3, as OpenSSL names them.");
  table.AddText("groups", &options.groups, "LIST",
                "Key exchange groups, as OpenSSL names them: X25519:P-256.");
  table.AddText("server-name", &options.server_name, "NAME",
                "The name to ask for (SNI). Empty: none.");
  table.AddSwitch("resume", &options.resume,
                  "Each client resumes its last TLS session.");
}

void DescribePace(LoadOptions& options, cli::OptionTable& table) {
  table.Group("How much, how fast");
  table.AddCount("clients", &options.clients, 1, 100'000,
                 "Connections at a time, at most.");
  table.AddCount("threads", &options.threads, 1, 64,
                 "Threads that share the clients; each has a ring.");
  table.AddCount("sources", &options.sources, 1, 65'000,
                 "Source addresses to spread the connections over, from "
                 "127.0.0.1 on.");
  table.AddNumber("session-rate", &options.session_rate, 1e6,
                  "Open loop: so many sessions begin per second, whether the "
                  "server keeps up or not. Their latency counts from the time "
                  "they should have begun, so that a stall is seen in full. 0: "
                  "each client begins its next session when one has ended.");
  table.AddNumber("rate", &options.rate, 1e6,
                  "Open loop: so many messages begin per second, on whichever "
                  "connection is free; their latency counts from the time they "
                  "should have begun. 0: one after the other.");
  table.AddChoice("arrivals", &options.arrivals, kArrivalWords,
                  "Open loop: evenly spaced, or at random as independent "
                  "clients come.");
  table.AddDuration("ramp", &options.ramp, 1h,
                    "Time over which the clients start.");
  table.AddDuration("warm-up", &options.warm_up, 1h,
                    "What has ended by then is in no figure, but for errors "
                    "and --verify: connects and handshakes of a test of "
                    "messages, caches that fill. Counts towards --duration.");
  table.AddDuration("duration", &options.duration, 24h,
                    "Begin nothing new after this time. Without it and without "
                    "--count and --sessions: 10s.");
  table.AddCount("count", &options.count, 0, kMaxMessages,
                 "Stop after so many messages. 0: no limit.");
  table.AddCount("sessions", &options.sessions, 0, kMaxMessages,
                 "Stop after so many sessions. 0: no limit.");
}

void DescribeMail(LoadOptions& options, cli::OptionTable& table) {
  table.Group("What a session does");
  table.AddCount(
      "messages", &options.messages, 0, kMaxMessages,
      "Messages per connection. 0: only the handshake, and --noops.");
  table.AddText("size", &options.size, "SIZES",
                "Octets of a message with its header: 4k; one of a list "
                "(1k,4k*9,1M; *9 is nine times as likely); uniform:1k:64k; or "
                "lognormal:MEDIAN:SIGMA[:MOST]. No message is smaller than its "
                "header, about 200 octets.");
  table.AddCount("recipients", &options.recipients, 1, 10'000,
                 "Recipients per message.");
  table.AddText("from", &options.from, "ADDRESS",
                "The sender; % becomes the message's own number.");
  table.AddText("to", &options.to, "ADDRESS",
                "The recipients; % becomes 0, 1, 2, ...");
  table.AddText("helo", &options.helo, "NAME", "The name in EHLO.");
  table.AddSwitch("pipelining", &options.pipelining,
                  "MAIL, RCPT and DATA in one write, where the server offers "
                  "it. Else a command per round trip.");
  table.AddSwitch("bdat", &options.bdat, "BDAT instead of DATA.");
  table.AddCount("chunk-size", &options.chunk_size, 0, int64_t{100} << 20,
                 "Octets per BDAT. 0: the whole message in one.");
  table.AddCount("noops", &options.noops, 0, kMaxMessages,
                 "NOOP commands before the messages, --pause apart.");
  table.AddDuration("pause", &options.pause, 1h,
                    "Time to wait between messages, and between NOOPs.");
  table.AddDuration("hold", &options.hold, 24h,
                    "Time to stay idle before QUIT.");
}

}  // namespace

const std::string_view kLoadUsage =
    R"(tlspost-load: many SMTP clients at once, with or without TLS.

Usage:
  tlspost-load --server=ADDRESS:PORT [--name=value]...

Sends mail as fast as it is taken (closed loop), or at a rate (open loop), and
says how long everything took. With --verify and tlspost-sink behind the server
it proves that no message was lost, doubled, mixed up or changed. Exit status:
0 when all went well, 1 when anything failed, 2 when it was called wrongly.
)";

void Describe(LoadOptions& options, cli::OptionTable& table) {
  DescribeConnection(options, table);
  DescribePace(options, table);
  DescribeMail(options, table);
  table.Group("Results");
  table.AddText("verify", &options.verify, "ADDRESS:PORT",
                "The --control address of the tlspost-sink where the messages "
                "end up: compare what was sent with what it has.");
  table.AddText("json", &options.json, "FILE",
                "Write the results there as JSON; - is standard output, "
                "instead of the table.");
  table.AddSwitch("quiet", &options.quiet, "No progress on standard error.");
}

absl::Status Settle(LoadOptions& options) {
  const bool bounded = options.count > 0 || options.sessions > 0;
  if (!bounded && options.duration == io::Duration(0)) {
    options.duration = kDefaultDuration;
  }
  if (options.messages == 0 && options.count > 0) {
    return absl::InvalidArgumentError(
        "--count counts messages, and --messages=0 sends none; use --sessions");
  }
  if (options.rate > 0 && options.session_rate > 0) {
    return absl::InvalidArgumentError(
        "--rate and --session-rate exclude each other");
  }
  if (options.rate > 0 && options.messages == 0) {
    return absl::InvalidArgumentError(
        "--rate is of messages, and --messages=0 sends none; use "
        "--session-rate");
  }
  if (options.duration > io::Duration(0) &&
      options.warm_up >= options.duration) {
    return absl::InvalidArgumentError(
        "--warm-up leaves nothing of --duration to be measured");
  }
  if (options.threads > options.clients) options.threads = options.clients;
  if (options.verify.empty()) return absl::OkStatus();
  if (options.count == 0 || options.count > kMaxVerified) {
    const bool none = options.count == 0;
    options.count = kMaxVerified;
    if (!none) {
      return absl::InvalidArgumentError(
          "--verify remembers each message: --count must be at most 10000000");
    }
  }
  return absl::OkStatus();
}

}  // namespace tlspost::load
