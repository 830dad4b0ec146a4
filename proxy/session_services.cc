// Ids of transactions and the summary of a session.

#include "proxy/session_services.h"

#include <algorithm>
#include <cctype>
#include <limits>

#include "absl/strings/str_format.h"
#include "common/base/spare_string.h"

namespace tlspost {
namespace {

using smtp::Verb;

// The verbs that Postfix's summary names, in its order.
constexpr std::array<Verb, 13> kNamed = {
    Verb::kHelo, Verb::kEhlo, Verb::kStartTls, Verb::kAuth, Verb::kMail,
    Verb::kRcpt, Verb::kData, Verb::kBdat,     Verb::kRset, Verb::kNoop,
    Verb::kVrfy, Verb::kHelp, Verb::kQuit};

std::string Ratio(int successes, int total) {
  return successes == total ? absl::StrFormat("%d", total)
                            : absl::StrFormat("%d/%d", successes, total);
}

}  // namespace

std::string SessionServices::NextId() {
  std::string id = TakeSpareString();
  absl::StrAppendFormat(&id, "%s-%X", instance, ++transactions);
  return id;
}

const smtp::Reply& VrfyReply(const Settings& settings) {
  return settings.disable_vrfy_command ? smtp::reply::kVrfyDisabled
                                       : smtp::reply::kCannotVerify;
}

std::string LogName(const io::Stream& stream) {
  std::string text = TakeSpareString();
  const io::PeerName* name = stream.peer_name();
  const bool has_name = name != nullptr && !name->name.empty();
  text.append(has_name ? std::string_view(name->name) : "unknown");
  text.append("[").append(stream.peer().Address()).append("]");
  return text;
}

size_t CommandTally::IndexOf(Verb verb) {
  return static_cast<size_t>(std::find(kNamed.begin(), kNamed.end(), verb) -
                             kNamed.begin());
}

void CommandTally::Count(Verb verb, bool success) {
  static_assert(kNamed.size() + 1 == kCounted);
  static_assert(kCounted == kCommandLabels.size());
  Entry& entry = entries_[IndexOf(verb)];
  if (entry.total == std::numeric_limits<uint16_t>::max()) return;
  ++entry.total;
  if (success) ++entry.successes;
}

std::string CommandTally::Summary() const {
  std::string summary;
  int total = 0;
  int successes = 0;
  for (size_t i = 0; i < kCounted; ++i) {
    const Entry& entry = entries_[i];
    if (entry.total == 0) continue;
    total += entry.total;
    successes += entry.successes;
    std::string name = i < kNamed.size()
                           ? std::string(smtp::InfoOf(kNamed[i]).name)
                           : "unknown";
    for (char& c : name) c = static_cast<char>(std::tolower(c));
    summary += name + "=" + Ratio(entry.successes, entry.total) + " ";
  }
  return summary + "commands=" + Ratio(successes, total);
}

}  // namespace tlspost
