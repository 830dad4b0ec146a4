#include "proxy/trace_command.h"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "common/smtp/text.h"

namespace tlspost {
namespace {

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

}  // namespace

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
  while (reader.wait()) {
    const auto batch = hub.Take(*opened, TraceNow());
    if (!batch.ok()) return;
    const std::string text = TextOf(*batch);
    if (!text.empty() && !reader.write(text).ok()) break;
  }
  hub.Close(*opened);
}

}  // namespace tlspost
