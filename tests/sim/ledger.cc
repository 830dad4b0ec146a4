// The rules, one function each.

#include "tests/sim/ledger.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/smtp/reply.h"
#include "common/smtp/text.h"

namespace tlspost::sim {
namespace {

struct Sent {
  const SimClient* client = nullptr;
  const Mail* mail = nullptr;
  const MailResult* result = nullptr;
};

class Findings {
 public:
  template <typename... Args>
  void Add(const absl::FormatSpec<Args...>& format, const Args&... args) {
    lines_.push_back(absl::StrFormat(format, args...));
  }
  std::vector<std::string> Take() { return std::move(lines_); }

 private:
  std::vector<std::string> lines_;
};

// What the log of a failure shows of a long text.
std::string Shown(std::string_view text) {
  std::string shown;
  for (const char c : text.substr(0, 400)) {
    if (c == '\r') {
      shown += "\\r";
    } else if (c == '\n') {
      shown += "\\n";
    } else {
      shown += c;
    }
  }
  return shown;
}

// `part` in the order of `whole`.
bool IsSubsequence(const std::vector<std::string>& part,
                   const std::vector<std::string>& whole) {
  size_t found = 0;
  for (const std::string& element : whole) {
    if (found < part.size() && part[found] == element) ++found;
  }
  return found == part.size();
}

// Rule 3, identity: each attribute is this client's, none is left over. "EHLO"
// stands for the name that the backend was greeted with.
void CheckIdentity(const SinkMta::Message& message, const SimClient& client,
                   std::string_view told, Findings& findings) {
  const std::map<std::string_view, std::string> expected = {
      {"ADDR", std::string(client.from().is_ipv6() ? "IPV6:" : "") +
                   client.from().Address()},
      {"PORT", std::to_string(client.from().port())},
      {"HELO", client.plan().helo},
      {"PROTO", client.plan().esmtp ? "ESMTP" : "SMTP"},
      {"DESTADDR", client.server().Address()},
      {"DESTPORT", std::to_string(client.server().port())},
      {"SOURCE", "REMOTE"},
      {"TLS", client.plan().tls == ClientTls::kNone ? "" : "yes"},
      {"NAME", client.plan().name},
      {"REVERSE_NAME", client.plan().reverse_name},
      {"LOGIN", ""},
  };
  // Nobody else's, whatever had to be told.
  const auto address = message.client.find("ADDR");
  if (address != message.client.end() &&
      address->second != expected.at("ADDR")) {
    findings.Add("<%s>: the backend was told ADDR=%s instead of %s",
                 message.sender, address->second, expected.at("ADDR"));
    return;
  }
  while (!told.empty()) {
    const std::string_view name = smtp::TakeWord(told);
    if (name == "EHLO") {
      if (message.helo == client.plan().helo) continue;
      findings.Add("<%s>: the backend took it under HELO %s instead of %s",
                   message.sender, message.helo, client.plan().helo);
      continue;
    }
    const auto heard = message.client.find(std::string(name));
    const auto should = expected.find(name);
    if (heard == message.client.end()) {
      findings.Add("<%s>: the backend was not told its %s", message.sender,
                   std::string(name));
    } else if (should != expected.end() && heard->second != should->second) {
      findings.Add("<%s>: the backend was told %s=%s instead of %s",
                   message.sender, std::string(name), heard->second,
                   should->second);
    }
  }
}

// Rules 1 and 5: the header tells of this client, over this security layer.
void CheckHeader(std::string_view header, const SinkMta::Message& message,
                 const SimClient& client, Findings& findings) {
  const std::string& name = client.plan().name;
  const bool has_name = !name.empty() && !name.starts_with('[');
  const std::string from = absl::StrFormat(
      "Received: from %s (%s [%s%s])\r\n", client.plan().helo,
      has_name ? name : "unknown", client.from().is_ipv6() ? "IPv6:" : "",
      client.from().Address());
  if (!header.starts_with(from)) {
    findings.Add("<%s>: the header is another client's: %s", message.sender,
                 Shown(header));
  }
  const bool says_tls = header.find("\t(using TLSv1.") != std::string::npos;
  const bool tls = client.plan().tls != ClientTls::kNone;
  const std::string with =
      !client.plan().esmtp
          ? " with SMTP id "
          : absl::StrFormat(" with ESMTP%s%s id ", tls ? "S" : "",
                            client.user().empty() ? "" : "A");
  if (says_tls != tls || header.find(with) == std::string::npos) {
    findings.Add("<%s>: the header is wrong about TLS: %s", message.sender,
                 Shown(header));
  }
  const size_t count = message.recipients.size();
  const std::string one =
      count == 0 ? "" : "\tfor <" + message.recipients.front() + ">; ";
  if ((count == 1) != (header.find("\tfor <") != std::string::npos) ||
      (count == 1 && header.find(one) == std::string::npos)) {
    findings.Add("<%s>: the header is wrong about the recipient: %s",
                 message.sender, Shown(header));
  }
}

// What a client of no law has sent, and the backend was told so. It may be
// anything, but for another client's.
bool IsLawless(const SinkMta::Message& message,
               const Ledger::Clients& clients) {
  const auto told = message.client.find("ADDR");
  if (told == message.client.end()) return false;
  for (const auto& client : clients) {
    for (const Mail& mail : client->plan().mails) {
      if (message.data.find(mail.body) != std::string::npos) return false;
    }
  }
  return std::any_of(clients.begin(), clients.end(), [&](const auto& client) {
    return client->plan().lawless && client->from().Address() == told->second &&
           message.data.find(told->second) != std::string::npos;
  });
}

void CheckMessage(const SinkMta::Message& message, const Sent& sent,
                  std::string_view told, Findings& findings) {
  const Mail& mail = *sent.mail;
  const auto body = BehindReceived(message.data);
  if (!body.has_value()) {
    findings.Add("<%s>: no Received header of ours: %s", message.sender,
                 Shown(message.data));
    return;
  }
  const std::string_view expected =
      mail.delivered.empty() ? mail.body : mail.delivered;
  if (*body != expected) {
    findings.Add("<%s>: delivered as \"%s\" instead of \"%s\"", message.sender,
                 Shown(*body), Shown(expected));
  }
  CheckHeader(std::string_view(message.data)
                  .substr(0, message.data.size() - body->size()),
              message, *sent.client, findings);
  if (message.recipients.empty() ||
      !IsSubsequence(message.recipients, mail.recipients)) {
    findings.Add("<%s>: delivered to recipients it did not name",
                 message.sender);
  }
  if (!sent.result->dot_sent) {
    findings.Add("<%s>: delivered although its end was never sent",
                 message.sender);
  }
  // The backend took it as the user's who has sent it: on the connection that
  // has heard the client's AUTH, which hears no other client's mail.
  if (message.user != sent.client->user()) {
    findings.Add("<%s>: the backend took it as mail of \"%s\", not \"%s\"",
                 message.sender, message.user, sent.client->user());
  }
  CheckIdentity(message, *sent.client, told, findings);
}

// Rules 1 and 2: what the client was told against what was taken.
void CheckResult(const Sent& sent, const SinkMta::Message* taken, int times,
                 bool may_lie, Findings& findings) {
  const MailResult& result = *sent.result;
  const std::string& sender = sent.mail->sender;
  if (times > 1) findings.Add("<%s>: delivered %d times", sender, times);
  if (result.final_code / 100 == 2) {
    if (times == 0) {
      findings.Add("<%s>: the client heard \"%s\" and no backend has it",
                   sender, Shown(result.final_text));
      return;
    }
    std::vector<std::string> heard;
    for (size_t i = 0; i < result.recipients.size(); ++i) {
      if (result.recipients[i] == 250) {
        heard.push_back(sent.mail->recipients[i]);
      }
    }
    if (heard != taken->recipients) {
      findings.Add("<%s>: the client heard 250 for %d recipients, %d got it",
                   sender, heard.size(), taken->recipients.size());
    }
  } else if (result.final_code != 0 && times > 0 && !may_lie &&
             result.final_text != smtp::reply::kOutcomeUnknown.text()) {
    findings.Add("<%s>: the client heard \"%s\" and a backend has it", sender,
                 Shown(result.final_text));
  }
}

}  // namespace

std::vector<std::string> FindSecrets(std::string_view log,
                                     const Ledger::Clients& clients) {
  std::vector<std::string> found;
  for (const auto& client : clients) {
    for (const SimAuth& auth : client->plan().auths) {
      std::vector<std::string> secrets = auth.Responses();
      secrets.push_back(auth.password);
      // A name is told only of who has proved to have it.
      if (auth.user != client->user()) secrets.push_back(auth.user);
      for (std::string& secret : secrets) {
        if (log.find(secret) != std::string_view::npos) {
          found.push_back(std::move(secret));
        }
      }
    }
  }
  return found;
}

std::optional<std::string_view> BehindReceived(std::string_view data) {
  if (!data.starts_with("Received: from ")) return std::nullopt;
  while (true) {
    const size_t end = data.find("\r\n");
    if (end == std::string_view::npos) return std::nullopt;
    data.remove_prefix(end + 2);
    if (!data.starts_with('\t')) return data;
  }
}

std::vector<std::string> Ledger::Check(const Clients& clients,
                                       std::string_view told,
                                       bool may_lie) const {
  Findings findings;
  std::map<std::string, Sent> sent_by_sender;
  for (const auto& client : clients) {
    for (size_t i = 0; i < client->plan().mails.size(); ++i) {
      Sent sent;
      sent.client = client.get();
      sent.mail = &client->plan().mails[i];
      sent.result = &client->results()[i];
      sent_by_sender[sent.mail->sender] = sent;
    }
    if (client->extra_replies() > 0 && !client->plan().lawless) {
      findings.Add("%s heard %d replies to nothing", client->plan().helo,
                   client->extra_replies());
    }
  }
  std::map<std::string, int> times;
  std::map<std::string, const SinkMta::Message*> taken;
  for (const SinkMta::Message& message : accepted_) {
    // Whatever sender it names: that may be somebody else's.
    if (IsLawless(message, clients)) continue;
    ++times[message.sender];
    taken[message.sender] = &message;
    const auto sent = sent_by_sender.find(message.sender);
    if (sent == sent_by_sender.end()) {
      findings.Add("<%s>: delivered, and nobody sent it: %s", message.sender,
                   Shown(message.data));
    } else {
      CheckMessage(message, sent->second, told, findings);
    }
  }
  for (const auto& [sender, sent] : sent_by_sender) {
    CheckResult(sent, taken[sender], times[sender], may_lie, findings);
  }
  return findings.Take();
}

}  // namespace tlspost::sim
