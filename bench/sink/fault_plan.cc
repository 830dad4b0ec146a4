#include "bench/sink/fault_plan.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_format.h"
#include "bench/cli/parse_value.h"
#include "common/base/status.h"

namespace tlspost {
namespace {

constexpr std::string_view kMessage = "MESSAGE";
// END is "." for the sink.
constexpr std::array<std::string_view, 10> kVerbs = {
    "CONNECT", "EHLO", "XCLIENT", "MAIL", "RCPT",
    "DATA",    "END",  "BDAT",    "RSET", "QUIT"};

constexpr std::array<std::pair<std::string_view, MessageFault>, 3>
    kMessageFaults = {{{"lose", MessageFault::kLose},
                       {"double", MessageFault::kDouble},
                       {"change", MessageFault::kChange}}};

std::string Refusal(int64_t code) {
  return absl::StrFormat("%d %d.7.1 Refused on request\r\n", code, code / 100);
}

}  // namespace

absl::StatusOr<FaultPlan> FaultPlan::Parse(
    const std::vector<std::string>& texts) {
  FaultPlan plan;
  for (const std::string& text : texts) {
    absl::StatusOr<Fault> fault = ParseOne(text);
    if (!fault.ok()) return fault.status();
    plan.faults_.push_back(*std::move(fault));
  }
  return plan;
}

bool FaultPlan::ParseAction(std::string_view action, Fault& fault) {
  if (fault.verb == kMessage) {
    for (const auto& [name, message_fault] : kMessageFaults) {
      if (name == action) fault.message_fault = message_fault;
    }
    return fault.message_fault != MessageFault::kNone;
  }
  SinkMta::Misdeed& misdeed = fault.misdeed;
  if (action == "stall") {
    fault.stalls = true;
    return true;
  }
  if (action == "drop") {
    misdeed.close = true;
    return true;
  }
  if (action == "421") {
    misdeed.reply = "421 4.3.2 Closing on request\r\n";
    misdeed.close = true;
    return true;
  }
  const size_t equals = action.find('=');
  if (equals == std::string_view::npos) return false;
  const std::string_view value = action.substr(equals + 1);
  if (action.substr(0, equals) == "delay") {
    const absl::StatusOr<io::Duration> delay = cli::ParseDuration(value);
    if (!delay.ok() || *delay > kMaxDelay) return false;
    misdeed.delay = *delay;
    misdeed.normal = true;
    return true;
  }
  const absl::StatusOr<int64_t> code = cli::ParseCount(value);
  if (action.substr(0, equals) != "reject" || !code.ok()) return false;
  misdeed.reply = Refusal(*code);
  return *code >= 400 && *code <= 599;
}

absl::StatusOr<FaultPlan::Fault> FaultPlan::ParseOne(std::string_view text) {
  const std::vector<std::string_view> parts = cli::SplitList(text, ':');
  Fault fault;
  bool known = parts.size() == 2 || parts.size() == 3;
  if (known) {
    const bool is_verb = std::count(kVerbs.begin(), kVerbs.end(), parts[0]) > 0;
    fault.verb = parts[0] == "END" ? "." : parts[0];
    known = (is_verb || parts[0] == kMessage) && ParseAction(parts[1], fault);
  }
  if (known && parts.size() == 3) {
    const absl::StatusOr<int64_t> every = cli::ParseCount(parts[2]);
    known = every.ok() && *every > 0;
    if (known) fault.every = *every;
  }
  if (known) return fault;
  return absl::InvalidArgumentError(absl::StrFormat(
      "\"%s\" is no fault; write VERB:ACTION[:N] as in RCPT:reject=450:100, "
      "END:delay=50ms, MESSAGE:lose:1000",
      text));
}

std::optional<SinkMta::Misdeed> FaultPlan::At(const SinkMta::Event& event) {
  if (stalled_.contains(event.connection)) return SinkMta::Misdeed();
  std::optional<SinkMta::Misdeed> misdeed;
  for (Fault& fault : faults_) {
    if (fault.verb != event.verb || !fault.Strikes()) continue;
    misdeed = fault.misdeed;
    if (fault.stalls) stalled_.insert(event.connection);
  }
  return misdeed;
}

MessageFault FaultPlan::AtMessage() {
  MessageFault struck = MessageFault::kNone;
  for (Fault& fault : faults_) {
    if (fault.message_fault == MessageFault::kNone) continue;
    if (fault.Strikes()) struck = fault.message_fault;
  }
  return struck;
}

}  // namespace tlspost
