#include "bench/verify/ledger.h"

#include <charconv>

#include "absl/strings/str_format.h"
#include "bench/cli/parse_value.h"

namespace tlspost::verify {
namespace {

// The words of `line` as numbers; false when one is none.
template <size_t kCount>
bool ParseNumbers(std::string_view line, const int (&bases)[kCount],
                  uint64_t* const (&numbers)[kCount]) {
  const std::vector<std::string_view> words = cli::SplitList(line, ' ');
  if (words.size() != kCount) return false;
  for (size_t i = 0; i < kCount; ++i) {
    const char* end = words[i].data() + words[i].size();
    const auto [rest, error] =
        std::from_chars(words[i].data(), end, *numbers[i], bases[i]);
    if (error != std::errc() || rest != end) return false;
  }
  return true;
}

}  // namespace

void Ledger::Add(const LedgerEntry& entry) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (all_.entries.size() == limit_) {
    ++all_.over_limit;
  } else {
    all_.entries.push_back(entry);
  }
}

void Ledger::AddUnmarked() {
  const std::lock_guard<std::mutex> lock(mutex_);
  ++all_.unmarked;
}

LedgerPage Ledger::PageOf(uint64_t run) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  LedgerPage page;
  page.unmarked = all_.unmarked;
  page.over_limit = all_.over_limit;
  for (const LedgerEntry& entry : all_.entries) {
    if (entry.run == run) page.entries.push_back(entry);
  }
  return page;
}

std::string FormatLedgerLine(const LedgerEntry& entry) {
  return absl::StrFormat("%d %x %x\n", entry.sequence, entry.body,
                         entry.envelope);
}

std::string FormatLedgerEnd(const LedgerPage& page) {
  return absl::StrFormat("END %d %d %d\n", page.entries.size(), page.unmarked,
                         page.over_limit);
}

absl::StatusOr<LedgerPage> ParseLedgerPage(std::string_view text,
                                           uint64_t run) {
  LedgerPage page;
  uint64_t lines = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) break;
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (line.starts_with("END ")) {
      const bool parsed =
          ParseNumbers(line.substr(4), {10, 10, 10},
                       {&lines, &page.unmarked, &page.over_limit});
      const bool whole = lines == page.entries.size() && text.empty();
      if (!parsed || !whole) break;
      return page;
    }
    LedgerEntry entry;
    entry.run = run;
    if (!ParseNumbers(line, {10, 16, 16},
                      {&entry.sequence, &entry.body, &entry.envelope})) {
      break;
    }
    page.entries.push_back(entry);
  }
  return absl::DataLossError(
      "the sink's ledger is cut short or is none; is this address its "
      "--control?");
}

}  // namespace tlspost::verify
