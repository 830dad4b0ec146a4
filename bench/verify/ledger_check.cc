#include "bench/verify/ledger_check.h"

#include <string_view>
#include <unordered_map>

#include "absl/strings/str_format.h"

namespace tlspost::verify {
namespace {

class Check {
 public:
  Verdict Run(const std::vector<SentMessage>& sent, const LedgerPage& page) {
    verdict_.unmarked = page.unmarked;
    verdict_.over_limit = page.over_limit;
    for (const SentMessage& message : sent) {
      sent_[message.sequence].message = &message;
    }
    for (const LedgerEntry& entry : page.entries) Compare(entry);
    for (const SentMessage& message : sent) {
      Judge(message, sent_[message.sequence].times_taken);
    }
    return verdict_;
  }

 private:
  struct Known {
    const SentMessage* message = nullptr;
    uint64_t times_taken = 0;
  };

  void Fault(uint64_t& counter, uint64_t sequence, std::string_view what) {
    ++counter;
    if (verdict_.examples.size() == kMaxExamples) return;
    verdict_.examples.push_back(
        absl::StrFormat("message %d: %s", sequence, what));
  }

  void Compare(const LedgerEntry& entry) {
    const auto found = sent_.find(entry.sequence);
    if (found == sent_.end()) {
      return Fault(verdict_.invented, entry.sequence, "nobody sent it");
    }
    Known& known = found->second;
    ++known.times_taken;
    if (entry.body != known.message->body) {
      Fault(verdict_.changed, entry.sequence,
            "other octets arrived than were sent");
    }
    if (entry.envelope != known.message->envelope) {
      Fault(verdict_.mixed, entry.sequence,
            "it arrived with another sender or other recipients");
    }
  }

  void Judge(const SentMessage& message, uint64_t times_taken) {
    if (times_taken > 1) {
      Fault(verdict_.doubled, message.sequence,
            absl::StrFormat("taken %d times", times_taken));
    }
    switch (message.outcome) {
      case Outcome::kAccepted:
        ++verdict_.accepted;
        if (times_taken == 0) {
          Fault(verdict_.lost, message.sequence,
                "the client heard 250 and the sink does not have it");
        }
        break;
      case Outcome::kRefused:
        ++verdict_.refused;
        if (times_taken > 0) {
          Fault(verdict_.invented, message.sequence,
                "the client was refused and the sink has it");
        }
        break;
      case Outcome::kUnsure:
        ++verdict_.unsure;
        if (times_taken > 0) ++verdict_.unsure_taken;
        break;
    }
  }

  std::unordered_map<uint64_t, Known> sent_;
  Verdict verdict_;
};

}  // namespace

Verdict CheckLedger(const std::vector<SentMessage>& sent,
                    const LedgerPage& page) {
  return Check().Run(sent, page);
}

}  // namespace tlspost::verify
