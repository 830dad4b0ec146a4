// Connections to the backend, what it offers, and whose identity it takes.

#include "proxy/check/backend_probe.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/co_try.h"
#include "common/base/status.h"
#include "common/io/stream.h"
#include "common/smtp/proxy_header.h"
#include "common/smtp/reply.h"
#include "common/smtp/text.h"
#include "common/smtp/tls_summary.h"
#include "common/tls/tls_engine.h"
#include "proxy/check/probe_identities.h"

namespace tlspost {
namespace {

using std::chrono_literals::operator""s;

// Nobody waits longer for a check, whatever a server would.
constexpr io::Duration kLongestWait = 30s;
// A reply that takes longer is felt by every client.
constexpr io::Duration kSlowReply = 1s;
// A tlspost would be another process than this one.
constexpr std::string_view kNoMark;

int64_t Milliseconds(io::Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration)
      .count();
}

// The words of an EHLO reply, one for each line behind the first.
std::string ListWords(std::string_view reply) {
  std::vector<std::string> words;
  while (!reply.empty()) {
    std::string_view line = smtp::FirstLine(reply);
    reply.remove_prefix(std::min(line.size() + 2, reply.size()));
    constexpr size_t kCode = 4;  // "250-"
    if (line.size() > kCode) {
      words.push_back(smtp::SanitizeForHeader(line.substr(kCode)));
    }
  }
  if (!words.empty()) words.erase(words.begin());
  return words.empty() ? "nothing" : absl::StrJoin(words, ", ");
}

}  // namespace

BackendProbe::BackendProbe(io::Loop& loop, const Settings& settings,
                           const BackendAddress& address, ProbeOptions options)
    : loop_(loop),
      settings_(settings),
      target_(address),
      options_(std::move(options)),
      found_("backend", findings_),
      thing_("backend " + address.endpoint.ToString()) {}

io::Time BackendProbe::ReplyDeadline() const {
  const io::Duration wait = settings_.backend_timeout;
  return loop_.Now() + std::min(wait, kLongestWait);
}

std::string BackendProbe::Shown(const BackendReply& reply) const {
  return smtp::SanitizeForHeader(smtp::FirstLine(reply.text));
}

Task<void> BackendProbe::Run() {
  const io::Time begun = loop_.Now();
  auto opened = co_await Open(nullptr);
  if (!opened.ok()) {
    found_.Fail(thing_,
                absl::StrFormat("%s; start the mail server, or correct backend",
                                MessageOf(opened.status())));
    co_return;
  }
  Backend& backend = **opened;
  found_.Ok(
      thing_,
      absl::StrFormat("reached in %d ms: %s", Milliseconds(loop_.Now() - begun),
                      smtp::SanitizeForHeader(backend.greeting())));
  offers_ = backend.capabilities();
  const absl::Status talked = co_await Talk(backend);
  if (!talked.ok()) {
    found_.Fail(thing_, absl::StrFormat("the connection broke: %s; look at "
                                        "the mail server's log",
                                        MessageOf(talked)));
  }
  co_await Quit(*std::move(opened));
  if (!talked.ok()) co_return;
  const bool by_proxy = settings_.backend_identity == BackendIdentity::kProxy;
  if (by_proxy) co_await TryProxyClient();
  co_await TryIpv6Client();
  co_await TryBareLineFeeds();
}

// All that one connection can tell.
Task<absl::Status> BackendProbe::Talk(Backend& backend) {
  CO_TRY(co_await ListOffers(backend));
  JudgeIdentity(offers_);
  const bool by_xclient = UsesXclient(offers_);
  const bool by_proxy = settings_.backend_identity == BackendIdentity::kProxy;
  if (by_xclient) {
    CO_TRY(co_await TryXclient(backend));
  } else if (!by_proxy) {
    CO_TRY(co_await TryRelay(backend, /*as_client=*/false));
  }
  // What one client has done is held against the next only where they share.
  is_shared_ =
      is_shared_ && !by_proxy && settings_.pool_mode == PoolMode::kTransaction;
  if (!is_shared_) co_return absl::OkStatus();
  CO_TRY(co_await TryErrors(backend));
  CO_TRY(co_await TryJunk(backend));
  co_return absl::OkStatus();
}

// --- connections ------------------------------------------------------------

Task<absl::StatusOr<BackendProbe::Connection>> BackendProbe::Open(
    const smtp::ClientIdentity* client) {
  const io::Duration wait = settings_.backend_connect_timeout;
  const io::Time deadline = loop_.Now() + std::min(wait, kLongestWait);
  io::ConnectOp connect(loop_, target_.endpoint(), deadline);
  CO_TRY_LET(stream, co_await connect);
  auto backend = std::make_unique<Backend>(std::move(stream));
  const absl::Status prepared = co_await Prepare(*backend, client, deadline);
  if (prepared.ok()) co_return backend;
  if (backend->at_boundary()) co_await Quit(std::move(backend));
  co_return prepared;
}

Task<absl::Status> BackendProbe::Prepare(Backend& backend,
                                         const smtp::ClientIdentity* client,
                                         io::Time deadline) {
  if (settings_.backend_identity == BackendIdentity::kProxy) {
    const std::string header =
        client == nullptr ? smtp::EncodeLocalProxyHeader() : ProbeProxyHeader();
    CO_TRY(co_await backend.Announce(header, client, deadline));
  }
  CO_TRY(co_await backend.Open(settings_.hostname, kNoMark, deadline));
  const BackendTlsLevel level = settings_.backend_tls_security_level;
  const bool wants_tls = level == BackendTlsLevel::kMay
                             ? backend.capabilities().starttls
                             : level != BackendTlsLevel::kNone;
  if (wants_tls) CO_TRY(co_await StartTls(backend, deadline));
  co_return absl::OkStatus();
}

Task<absl::Status> BackendProbe::StartTls(Backend& backend, io::Time deadline) {
  if (!backend.capabilities().starttls) {
    co_return absl::FailedPreconditionError(
        "it does not offer STARTTLS, which backend_tls_security_level "
        "requires; give it a certificate, or set backend_tls_security_level = "
        "may or none");
  }
  if (options_.tls == nullptr) {
    co_return absl::FailedPreconditionError("TLS could not be set up");
  }
  auto engine = std::make_unique<tls::TlsEngine>(options_.tls);
  const std::string host = target_.Host();
  const std::string& name = settings_.backend_tls_servername.empty()
                                ? host
                                : settings_.backend_tls_servername;
  if (!name.empty()) engine->SetServerName(name);
  const absl::Status started = co_await backend.StartTls(
      std::move(engine), settings_.hostname, deadline);
  if (started.ok()) co_return started;
  co_return MakeStatus(started.code(),
                       "TLS: " + std::string(MessageOf(started)));
}

Task<void> BackendProbe::Quit(Connection connection) {
  const auto reply = co_await Ask(*connection, "QUIT\r\n");
  static_cast<void>(reply);  // whatever it says, the connection ends
}

Task<absl::StatusOr<BackendReply>> BackendProbe::Ask(Backend& backend,
                                                     std::string_view command) {
  CO_TRY(co_await backend.Send(command, 1, ReplyDeadline()));
  CO_TRY_LET(reply, co_await backend.ReadReply(ReplyDeadline()));
  co_return reply;
}

// --- what it offers, whose identity it takes --------------------------------

Task<absl::Status> BackendProbe::ListOffers(Backend& backend) {
  if (backend.tls() != nullptr) {
    const TlsDescription tls = backend.tls()->Describe();
    found_.Ok(thing_, absl::StrFormat("%s TLS connection: %s",
                                      smtp::TrustWord(tls.peer_certificate),
                                      smtp::FormatTlsSummary(tls)));
  }
  const std::string ehlo = "EHLO " + settings_.hostname + "\r\n";
  const io::Time asked = loop_.Now();
  CO_TRY_LET(reply, co_await Ask(backend, ehlo));
  const io::Duration took = loop_.Now() - asked;
  if (reply.code != 250) {
    found_.Warn(thing_,
                absl::StrFormat("knows no EHLO (%s), so clients are offered "
                                "next to nothing",
                                Shown(reply)));
    co_return absl::OkStatus();
  }
  found_.Ok(thing_, absl::StrFormat("answers in %d ms, offers %s",
                                    Milliseconds(took), ListWords(reply.text)));
  if (took > kSlowReply) {
    found_.Warn(thing_,
                absl::StrFormat("takes %d ms to answer EHLO; see what it waits "
                                "for (DNS, a milter, load)",
                                Milliseconds(took)));
  }
  if (!offers_.pipelining) {
    found_.Warn(thing_,
                "does not offer PIPELINING, so each command costs a round "
                "trip; take PIPELINING out of its "
                "smtpd_discard_ehlo_keywords");
  }
  co_return absl::OkStatus();
}

bool BackendProbe::UsesXclient(const smtp::EhloCapabilities& offers) const {
  const bool wanted = settings_.backend_identity == BackendIdentity::kAuto ||
                      settings_.backend_identity == BackendIdentity::kXclient;
  return wanted && offers.xclient.Has(smtp::ClientAttribute::kAddress);
}

void BackendProbe::JudgeIdentity(const smtp::EhloCapabilities& offers) {
  const BackendIdentity identity = settings_.backend_identity;
  const bool lacks_xclient =
      !offers.xclient.Has(smtp::ClientAttribute::kAddress);
  if (identity == BackendIdentity::kXclient && lacks_xclient) {
    found_.Fail(thing_,
                "does not offer XCLIENT to us, which backend_identity = "
                "xclient requires; add our address to its "
                "smtpd_authorized_xclient_hosts");
  } else if (identity == BackendIdentity::kAuto && lacks_xclient) {
    found_.Warn(thing_,
                "does not offer XCLIENT to us, so all mail seems to come from "
                "tlspost; add our address to its "
                "smtpd_authorized_xclient_hosts, or set backend_identity = "
                "none to silence this");
  } else if (identity == BackendIdentity::kXforward &&
             !offers.xforward.Has(smtp::ClientAttribute::kAddress)) {
    found_.Fail(thing_,
                "does not offer XFORWARD to us, which backend_identity = "
                "xforward requires; add our address to its "
                "smtpd_authorized_xforward_hosts");
  }
}

Task<absl::Status> BackendProbe::TryXclient(Backend& backend) {
  const smtp::ClientIdentity client = ProbeClient();
  CO_TRY_LET(reply, co_await backend.Introduce(client, ReplyDeadline()));
  if (reply.code != 220) {
    found_.Fail(thing_,
                absl::StrFormat("offers XCLIENT and refuses it for a client "
                                "%s: %s; add our address to its "
                                "smtpd_authorized_xclient_hosts",
                                client.address, Shown(reply)));
    is_shared_ = false;
    co_return absl::OkStatus();
  }
  CO_TRY_LET(greeted, co_await backend.GreetAs(client, ReplyDeadline()));
  if (greeted.code != 250) {
    co_return MakeStatus(
        absl::StatusCode::kUnavailable,
        absl::StrFormat("reply to EHLO in the client's name: %s",
                        Shown(greeted)));
  }
  const smtp::EhloCapabilities offered = smtp::ParseEhlo(greeted.text);
  CO_TRY(co_await TryRelay(backend, /*as_client=*/true));
  is_shared_ = offered.xclient.Has(smtp::ClientAttribute::kAddress);
  if (is_shared_) CO_TRY(co_await TrySecondXclient(backend));
  if (is_shared_) {
    found_.Ok(thing_,
              "takes XCLIENT again and again, so clients share connections");
  } else if (settings_.pool_mode == PoolMode::kSession) {
    found_.Ok(thing_, "takes one XCLIENT per connection");
  } else {
    found_.Warn(thing_,
                "takes one XCLIENT per connection, so each connection serves "
                "one client; for full reuse give tlspost a listener of its own "
                "with smtpd_authorized_xclient_hosts = 0.0.0.0/0, [::]/0");
  }
  co_return absl::OkStatus();
}

Task<absl::Status> BackendProbe::TrySecondXclient(Backend& backend) {
  smtp::ClientIdentity second = ProbeClient();
  second.address = kSecondClient;
  CO_TRY_LET(reply, co_await backend.Introduce(second, ReplyDeadline()));
  is_shared_ = reply.code == 220;
  co_return absl::OkStatus();
}

// A server without IPv6 takes no IPv6 address for a client's (edge 107), and
// the connection is of no use afterwards.
Task<void> BackendProbe::TryIpv6Client() {
  const bool matters = options_.has_ipv6_clients && UsesXclient(offers_);
  if (!matters) co_return;
  auto opened = co_await Open(nullptr);
  if (!opened.ok()) {
    found_.Fail(thing_, absl::StrFormat("a second connection failed: %s",
                                        MessageOf(opened.status())));
    co_return;
  }
  smtp::ClientIdentity client = ProbeClient();
  client.address = kIpv6Client;
  const auto reply = co_await (*opened)->Introduce(client, ReplyDeadline());
  if (reply.ok() && reply->code == 220) {
    found_.Ok(thing_, "takes IPv6 clients");
  } else {
    found_.Fail(thing_,
                absl::StrFormat(
                    "refuses XCLIENT with an IPv6 address (%s), and you listen "
                    "on IPv6: mail of these clients would get 451; set "
                    "inet_protocols = all there, or listen on IPv4 only",
                    reply.ok() ? Shown(*reply)
                               : std::string(MessageOf(reply.status()))));
  }
  co_await Quit(*std::move(opened));
}

// A connection of a client's own, as backend_identity = proxy has it.
Task<void> BackendProbe::TryProxyClient() {
  const smtp::ClientIdentity client = ProbeClient();
  auto opened = co_await Open(&client);
  if (!opened.ok()) {
    found_.Note(thing_,
                absl::StrFormat("turns a client %s away (%s), so whether it "
                                "relays for anybody is not known",
                                client.address, MessageOf(opened.status())));
    co_return;
  }
  const absl::Status tried = co_await TryRelay(**opened, /*as_client=*/true);
  if (!tried.ok()) {
    found_.Fail(thing_,
                absl::StrFormat("the connection broke: %s", MessageOf(tried)));
  }
  co_await Quit(*std::move(opened));
}

}  // namespace tlspost
