#include "bench/verify/mark.h"

#include <charconv>

#include "absl/strings/str_format.h"
#include "bench/verify/fingerprint.h"

namespace tlspost::verify {
namespace {

constexpr std::string_view kField = "X-Tlspost-Load: ";
constexpr size_t kRunDigits = 16;

// Where a line begins with kField, at or behind `from`.
size_t FindField(std::string_view data, size_t from) {
  for (size_t at = data.find(kField, from); at != std::string_view::npos;
       at = data.find(kField, at + 1)) {
    if (at == 0 || data[at - 1] == '\n') return at;
  }
  return std::string_view::npos;
}

std::optional<Mark> ParseId(std::string_view id) {
  if (id.size() < kRunDigits + 2 || id[kRunDigits] != '-') return std::nullopt;
  Mark mark;
  const char* run = id.data();
  const char* sequence = run + kRunDigits + 1;
  const char* end = run + id.size();
  const auto first = std::from_chars(run, sequence - 1, mark.run, 16);
  const auto second = std::from_chars(sequence, end, mark.sequence);
  const bool whole = first.ptr == sequence - 1 && second.ptr == end;
  if (!whole) return std::nullopt;
  return mark;
}

}  // namespace

std::string FormatMarkId(const Mark& mark) {
  return absl::StrFormat("%016x-%d", mark.run, mark.sequence);
}

std::string FormatMark(const Mark& mark) {
  return std::string(kField) + FormatMarkId(mark) + "\r\n";
}

std::optional<MarkedMessage> ReadMarked(std::string_view data) {
  const size_t begin = FindField(data.substr(0, kMaxHeaderOctets), 0);
  if (begin == std::string_view::npos) return std::nullopt;
  const std::string_view marked = data.substr(begin);
  const size_t end = marked.find("\r\n");
  if (end == std::string_view::npos) return std::nullopt;
  if (FindField(marked, 1) != std::string_view::npos) return std::nullopt;
  const std::optional<Mark> mark =
      ParseId(marked.substr(kField.size(), end - kField.size()));
  if (!mark.has_value()) return std::nullopt;
  Fingerprint fingerprint;
  fingerprint.Add(marked);
  return MarkedMessage{*mark, fingerprint.value()};
}

uint64_t EnvelopeFingerprint(std::string_view sender,
                             const std::vector<std::string>& recipients) {
  Fingerprint fingerprint;
  fingerprint.Add(sender);
  for (const std::string& recipient : recipients) {
    fingerprint.Add("\n");
    fingerprint.Add(recipient);
  }
  return fingerprint.value();
}

}  // namespace tlspost::verify
