// What the backend should refuse, and what it should bear: foreign recipients,
// errors, commands that do no work, bare line feeds.

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_format.h"
#include "common/base/co_try.h"
#include "common/base/status.h"
#include "proxy/check/backend_probe.h"
#include "proxy/check/probe_identities.h"

namespace tlspost {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

// At most so many errors are made, whatever backend_max_errors is.
constexpr int kMostErrors = 25;
// A reply that is so late has been held back (Postfix: smtpd_error_sleep_time,
// a second).
constexpr io::Duration kHeldBack = 900ms;
// Commands without work that any server should bear on a connection that
// several clients share: RSET, which says that a client has left, and may stand
// in a group (RFC 2920 3.1). Postfix's default is 100.
constexpr int kJunkCommands = 32;
// A server that takes LF.LF for the end of a message says so at once.
constexpr io::Duration kBareLineFeedWait = 4s;
// Far more than any server lets pass (RFC 5321 6.3: at least 100).
constexpr int kTooManyHops = 250;

constexpr std::string_view kUpToTheMessage[] = {
    "MAIL FROM:<>\r\n", "RCPT TO:<postmaster>\r\n", "DATA\r\n"};

absl::Status NotKnown(std::string_view why) {
  return MakeStatus(absl::StatusCode::kUnavailable, why);
}

std::string Repeat(std::string_view text, int times) {
  std::string all;
  all.reserve(text.size() * static_cast<size_t>(times));
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

// See backend_probe.h for why nobody ever gets it.
std::string CirclingMessage() {
  return Repeat("Received: by tlspost-check.invalid\r\n", kTooManyHops) +
         "Subject: tlspost check: a test that should never arrive\r\n"
         "Auto-Submitted: auto-generated\r\n"
         "\r\n"
         "This asks whether a dot between bare LFs ends a message.\n"
         ".\n";
}

}  // namespace

// --- relaying ---------------------------------------------------------------

// One group in one write, where the server takes that.
Task<absl::Status> BackendProbe::TryRelay(Backend& backend, bool as_client) {
  std::vector<std::string> commands = {"MAIL FROM:<>\r\n"};
  for (const std::string_view recipient : kForeignRecipients) {
    commands.push_back(absl::StrFormat("RCPT TO:<%s>\r\n", recipient));
  }
  commands.emplace_back("RSET\r\n");
  std::vector<BackendReply> replies;
  if (offers_.pipelining) {
    std::string group;
    for (const std::string& command : commands) group += command;
    const int count = static_cast<int>(commands.size());
    CO_TRY(co_await backend.Send(group, count, ReplyDeadline()));
    for (int i = 0; i < count; ++i) {
      CO_TRY_LET(reply, co_await backend.ReadReply(ReplyDeadline()));
      replies.push_back(std::move(reply));
    }
    if (replies.back().code == 250) {
      found_.Ok(thing_, "answers pipelined commands in their order");
    }
  } else {
    for (const std::string& command : commands) {
      CO_TRY_LET(reply, co_await Ask(backend, command));
      replies.push_back(std::move(reply));
    }
  }
  JudgeRelay(replies, as_client);
  co_return absl::OkStatus();
}

// `replies` are those to MAIL, to each RCPT, and to RSET.
void BackendProbe::JudgeRelay(const std::vector<BackendReply>& replies,
                              bool as_client) {
  const std::string who = as_client
                              ? absl::StrFormat("a client %s", kFirstClient)
                              : "our own address";
  bool is_certain = false;
  for (size_t i = 0; i + 2 < replies.size(); ++i) {
    const BackendReply& reply = replies[i + 1];
    if (reply.is_success()) {
      const std::string what = absl::StrFormat(
          "takes mail to <%s> from %s: ", kForeignRecipients[i], who);
      found_.Fail(
          thing_,
          what + (as_client
                      ? "it relays for anybody; set "
                        "smtpd_relay_restrictions = permit_mynetworks, "
                        "permit_sasl_authenticated, reject_unauth_destination "
                        "and see that mynetworks has no strangers"
                      : "as it is not told by XCLIENT who the client is, "
                        "anybody could relay through us; take our address "
                        "out of its mynetworks, or let it be told "
                        "(smtpd_authorized_xclient_hosts and "
                        "backend_identity = xclient)"));
      return;
    }
    if (reply.code >= 500 && replies.front().is_success()) is_certain = true;
  }
  const BackendReply& last = replies.front().is_success()
                                 ? replies[replies.size() - 2]
                                 : replies.front();
  if (is_certain) {
    found_.Ok(thing_,
              absl::StrFormat("does not relay for %s: %s", who, Shown(last)));
  } else {
    found_.Note(thing_,
                absl::StrFormat("whether it relays for %s is not known, as it "
                                "says for now: %s",
                                who, Shown(last)));
  }
}

// --- limits that clients share ----------------------------------------------

// A connection is retired after backend_max_errors; up to then the server must
// bear its errors, or an innocent client pays for another one's (finding 5).
Task<absl::Status> BackendProbe::TryErrors(Backend& backend) {
  const int wanted = std::min(settings_.backend_max_errors, kMostErrors);
  while (backend.errors < wanted) {
    const io::Time asked = loop_.Now();
    const int before = backend.errors;
    CO_TRY_LET(reply, co_await Ask(backend, "XTLSPOSTCHECK\r\n"));
    if (reply.code == 421) {
      WarnOfErrorLimit("leaves", before);
      co_return absl::OkStatus();
    }
    if (loop_.Now() - asked >= kHeldBack) {
      // One late reply may be chance. Who punishes holds all of them back.
      const io::Time asked_again = loop_.Now();
      CO_TRY_LET(other, co_await Ask(backend, "NOOP\r\n"));
      const bool is_late = loop_.Now() - asked_again >= kHeldBack;
      if (is_late || other.code == 421) {
        WarnOfErrorLimit("holds its replies back", before);
        co_return absl::OkStatus();
      }
    }
    // It counts nothing: then there is no limit to find.
    if (backend.errors == before) break;
  }
  found_.Ok(thing_,
            absl::StrFormat("bears %d errors on a connection", backend.errors));
  co_return absl::OkStatus();
}

void BackendProbe::WarnOfErrorLimit(std::string_view what, int errors) {
  found_.Warn(
      thing_,
      absl::StrFormat("%s after %d errors, and we use a connection until it "
                      "has %d: clients suffer for others; raise "
                      "smtpd_soft_error_limit and smtpd_hard_error_limit "
                      "there, or set backend_max_errors = %d",
                      std::string(what), errors, settings_.backend_max_errors,
                      std::max(1, errors - 1)));
}

Task<absl::Status> BackendProbe::TryJunk(Backend& backend) {
  if (!offers_.pipelining || backend.farewell_said()) {
    co_return absl::OkStatus();
  }
  const std::string group = Repeat("RSET\r\n", kJunkCommands);
  CO_TRY(co_await backend.Send(group, kJunkCommands, ReplyDeadline()));
  for (int i = 0; i < kJunkCommands; ++i) {
    CO_TRY_LET(reply, co_await backend.ReadReply(ReplyDeadline()));
    if (reply.code == 250) continue;
    found_.Warn(thing_,
                absl::StrFormat("bears %d commands without a delivery (%s); "
                                "raise smtpd_junk_command_limit there",
                                i, Shown(reply)));
    co_return absl::OkStatus();
  }
  found_.Ok(thing_, absl::StrFormat("bears %d commands without a delivery",
                                    kJunkCommands));
  co_return absl::OkStatus();
}

// --- bare line feeds --------------------------------------------------------

Task<void> BackendProbe::TryBareLineFeeds() {
  const smtp::ClientIdentity client = ProbeClient();
  auto opened = co_await Open(&client);
  absl::Status sent = opened.status();
  if (opened.ok()) sent = co_await SendBareLineFeeds(**opened);
  if (absl::IsDeadlineExceeded(sent)) {
    found_.Ok(thing_, "takes no dot between bare LFs for a message's end");
    co_return;  // in mid-message: the end of the connection undoes it
  }
  if (!sent.ok()) {
    found_.Note(thing_,
                absl::StrFormat("whether a dot between bare LFs ends a message "
                                "there is not known: %s; through tlspost none "
                                "does",
                                MessageOf(sent)));
  }
  if (opened.ok()) co_await Quit(*std::move(opened));
}

// DeadlineExceeded is the good end: the message goes on. Another error is why
// it cannot be known.
Task<absl::Status> BackendProbe::SendBareLineFeeds(Backend& backend) {
  if (UsesXclient(offers_)) {
    const smtp::ClientIdentity client = ProbeClient();
    CO_TRY_LET(introduced, co_await backend.Introduce(client, ReplyDeadline()));
    if (introduced.code != 220) {
      co_return NotKnown(Shown(introduced));
    }
  }
  for (const std::string_view command : kUpToTheMessage) {
    auto reply = co_await Ask(backend, command);
    if (!reply.ok()) co_return NotKnown(MessageOf(reply.status()));
    if (reply->code >= 400) co_return NotKnown(Shown(*reply));
  }
  backend.ExpectReply();
  const std::string message = CirclingMessage();
  const absl::Status written =
      co_await backend.SendData("", message, ReplyDeadline());
  if (!written.ok()) co_return NotKnown(MessageOf(written));
  auto end = co_await backend.ReadReply(loop_.Now() + kBareLineFeedWait);
  if (!end.ok()) co_return end.status();
  if (end->text.find("bare") != std::string::npos) {
    found_.Ok(thing_, absl::StrFormat("refuses bare LFs: %s", Shown(*end)));
  } else if (end->is_success()) {
    found_.Fail(thing_,
                "takes a dot between bare LFs for a message's end, and 250 "
                "Received headers for none: postmaster has got a test message; "
                "set smtpd_forbid_bare_newline = normalize and a "
                "hopcount_limit");
  } else {
    found_.Warn(thing_,
                "takes a dot between bare LFs for a message's end (SMTP "
                "smuggling); mail through tlspost is safe from that, but set "
                "smtpd_forbid_bare_newline = normalize for what comes "
                "otherwise");
  }
  co_return absl::OkStatus();
}

}  // namespace tlspost
