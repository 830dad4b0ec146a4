// Masking, and the queues of those who listen.

#include "proxy/trace_hub.h"

#include <algorithm>
#include <ctime>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "common/io/loop.h"
#include "common/smtp/auth.h"
#include "common/smtp/command.h"
#include "common/smtp/text.h"

namespace tlspost {
namespace {

constexpr std::string_view kMask = "***";

// On one line of a terminal, whatever octets it has.
std::string Printable(std::string_view text) {
  std::string printable;
  for (const char c : text.substr(0, TraceHub::kMaxLineOctets)) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet >= 0x20 && octet < 0x7f) {
      printable += c;
    } else {
      printable += absl::StrFormat("\\x%02x", octet);
    }
  }
  if (text.size() > TraceHub::kMaxLineOctets) printable += "...";
  return printable;
}

// AUTH and its mechanism. An initial response is a password more often than
// not, and so is what stands where a mechanism should.
std::string MaskedAuth(std::string_view line) {
  std::string masked = Printable(smtp::TakeWord(line));
  if (line.empty()) return masked;
  const std::string_view mechanism = smtp::TakeWord(line);
  const bool is_known = smtp::NamesMechanism(mechanism);
  masked.append(" ").append(is_known ? mechanism : kMask);
  if (is_known && !line.empty()) masked.append(" ").append(kMask);
  return masked;
}

std::string MaskedLine(std::string_view line, bool secret) {
  if (secret) return std::string(kMask);
  switch (smtp::ParseCommand(line).verb) {
    case smtp::Verb::kAuth:
      return MaskedAuth(line);
    case smtp::Verb::kUnknown:
      // A client that is out of step may say its password here.
      return absl::StrFormat("(unknown command of %d octets)", line.size());
    default:
      return Printable(line);
  }
}

std::string TimeOf(io::WallTime time) {
  const auto since = time.time_since_epoch();
  const std::time_t seconds = io::WallTime::clock::to_time_t(time);
  std::tm local = {};
  localtime_r(&seconds, &local);
  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
  return absl::StrFormat("%02d:%02d:%02d.%03d", local.tm_hour, local.tm_min,
                         local.tm_sec, milliseconds % 1000);
}

}  // namespace

void TraceHub::NoteLine(const io::Stream& client, std::string_view line,
                        bool secret) {
  Note(client, "C: ", MaskedLine(line, secret));
}

void TraceHub::NoteReplies(const io::Stream& client, std::string_view replies,
                           bool secret) {
  constexpr size_t kCodeOctets = 4;  // with what parts it from the words
  while (!replies.empty()) {
    const size_t end = std::min(replies.find("\r\n"), replies.size());
    const std::string_view line = replies.substr(0, end);
    replies.remove_prefix(std::min(end + 2, replies.size()));
    // A challenge may hold what the response is made of.
    const bool is_masked = secret || line.starts_with("334");
    Note(client, "S: ",
         is_masked ? Printable(line.substr(0, kCodeOctets)).append(kMask)
                   : Printable(line));
  }
}

void TraceHub::NoteEvent(const io::Stream& client, std::string_view what) {
  Note(client, "(", Printable(what) + ')');
}

void TraceHub::Note(const io::Stream& client, std::string_view who,
                    std::string_view text) {
  const io::Endpoint peer = client.peer();
  const std::lock_guard<std::mutex> lock(mutex_);
  DropSilent(client.loop().Now());
  for (Tracer& tracer : tracers_) {
    if (!io::AnyContains(tracer.networks, peer)) continue;
    if (tracer.lines.size() >= kMaxLines) {
      ++tracer.dropped;
      continue;
    }
    tracer.lines.push_back(absl::StrFormat("%s %s %s%s",
                                           TimeOf(client.loop().WallNow()),
                                           peer.ToString(), who, text));
  }
}

absl::StatusOr<uint64_t> TraceHub::Open(std::vector<io::Network> networks,
                                        io::Time now) {
  const std::lock_guard<std::mutex> lock(mutex_);
  DropSilent(now);
  if (tracers_.size() >= kMaxTracers) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "%d traces are under way already; end one of them", tracers_.size()));
  }
  Tracer& tracer = tracers_.emplace_back();
  tracer.number = ++opened_;
  tracer.networks = std::move(networks);
  tracer.last_taken = now;
  NoteCount();
  return tracer.number;
}

absl::StatusOr<TraceHub::Batch> TraceHub::Take(uint64_t number, io::Time now) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (Tracer& tracer : tracers_) {
    if (tracer.number != number) continue;
    tracer.last_taken = now;
    Batch batch;
    batch.lines.assign(std::make_move_iterator(tracer.lines.begin()),
                       std::make_move_iterator(tracer.lines.end()));
    tracer.lines.clear();
    batch.dropped = std::exchange(tracer.dropped, 0);
    return batch;
  }
  return absl::NotFoundError("there is no such trace; it has ended");
}

void TraceHub::Close(uint64_t number) {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::erase_if(tracers_, [number](const Tracer& tracer) {
    return tracer.number == number;
  });
  NoteCount();
}

void TraceHub::DropSilent(io::Time now) {
  std::erase_if(tracers_, [now](const Tracer& tracer) {
    return now - tracer.last_taken > kTimeout;
  });
  NoteCount();
}

void TraceHub::NoteCount() {
  count_.store(tracers_.size(), std::memory_order_relaxed);
}

}  // namespace tlspost
