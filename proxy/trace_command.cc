// The networks of a command line, and lines on their way to a terminal.

#include "proxy/trace_command.h"

#include <chrono>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "common/smtp/text.h"
#include "proxy/control_client.h"

namespace tlspost {
namespace {

constexpr std::chrono::seconds kTraceBeginTime(10);
// No limit, only how long one wait is.
constexpr std::chrono::hours kTraceSilence(1);

// As the loops have it.
io::Time TraceNow() {
  // lint-ok: clock, because no loop runs on the thread that waits for a reader
  return io::Time(std::chrono::steady_clock::now().time_since_epoch());
}

absl::StatusOr<std::vector<io::Network>> ParseTraced(std::string_view text) {
  std::vector<std::string> networks;
  for (std::string_view word = smtp::TakeWord(text); !word.empty();
       word = smtp::TakeWord(text)) {
    networks.emplace_back(word);
  }
  if (networks.empty()) {
    return Invalid("name the clients to trace, as in 192.0.2.0/24");
  }
  return io::ParseNetworks(networks);
}

std::string TextOf(const TraceHub::Batch& batch) {
  std::string text;
  for (const std::string& line : batch.lines) text.append(line).append("\n");
  if (batch.dropped > 0) {
    text += absl::StrFormat(
        "(%d lines were dropped here, because they are not read fast enough)\n",
        batch.dropped);
  }
  return text;
}

int SayTrace(int exit_status, std::string_view words) {
  std::fprintf(stderr, "tlspost: trace: %.*s\n", static_cast<int>(words.size()),
               words.data());
  return exit_status;
}

}  // namespace

int RunTrace(std::span<const char* const> args) {
  std::vector<const char*> of_serve;
  std::string command = "trace";
  for (const char* arg : args) {
    const std::string_view text = arg;
    if (text.starts_with('-')) {
      of_serve.push_back(arg);
    } else {
      command.append(" ").append(text);
    }
  }
  auto channel = AskControl(of_serve, command);
  if (!channel.ok()) return SayTrace(1, MessageOf(channel.status()));
  const auto first = channel->ReadLine(kTraceBeginTime);
  if (!first.ok()) return SayTrace(1, MessageOf(first.status()));
  const ControlAnswer answer = SplitAnswer(*first);
  if (answer.word != "tracing") return SayTrace(1, answer.words);
  SayTrace(0, absl::StrFormat("clients in %s; Ctrl-C ends it", answer.words));
  while (true) {
    const auto line = channel->ReadLine(kTraceSilence);
    if (absl::IsDeadlineExceeded(line.status())) continue;
    if (!line.ok()) return SayTrace(1, "tlspost has ended it");
    // Whoever reads it may have gone, as `head` does.
    if (std::puts(line->c_str()) < 0 || std::fflush(stdout) != 0) return 0;
  }
}

void ServeTrace(TraceHub& hub, std::string_view networks,
                const TraceReader& reader) {
  auto parsed = ParseTraced(networks);
  absl::StatusOr<uint64_t> opened =
      parsed.ok() ? hub.Open(*std::move(parsed), TraceNow())
                  : absl::StatusOr<uint64_t>(parsed.status());
  if (!opened.ok()) {
    const absl::Status told = reader.write(
        absl::StrFormat("failed %s\n", MessageOf(opened.status())));
    static_cast<void>(told);  // it may have left
    return;
  }
  bool is_there = reader.write(absl::StrFormat("tracing %s\n", networks)).ok();
  while (is_there && reader.wait()) {
    const auto batch = hub.Take(*opened, TraceNow());
    if (!batch.ok()) return;
    const std::string text = TextOf(*batch);
    if (!text.empty()) is_there = reader.write(text).ok();
  }
  hub.Close(*opened);
}

}  // namespace tlspost
