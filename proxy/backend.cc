// The conversation with one mail server connection.

#include "proxy/backend.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/base/co_try.h"
#include "common/smtp/reply.h"
#include "common/smtp/text.h"

namespace tlspost {
namespace {

absl::Status UnexpectedReply(std::string_view what, std::string_view reply) {
  return absl::UnavailableError(absl::StrFormat(
      "%s: %s", what, smtp::SanitizeForHeader(smtp::FirstLine(reply))));
}

// What the wait for the reply counts as.
std::optional<Phase> PhaseOf(BackendStep step) {
  switch (step) {
    case BackendStep::kMail:
      return Phase::kBackendMail;
    case BackendStep::kRcpt:
      return Phase::kBackendRcpt;
    case BackendStep::kData:
      return Phase::kBackendData;
    case BackendStep::kMessage:
      return Phase::kBackendMessage;
    case BackendStep::kBdat:
      return Phase::kBackendBdat;
    default:
      return std::nullopt;
  }
}

}  // namespace

Backend::Backend(std::unique_ptr<io::Stream> stream)
    : opened_at(stream->loop().Now()),
      idle_since(opened_at),
      stream_(std::move(stream)),
      address_(stream_.transport().peer().ToString()) {}

Task<absl::Status> Backend::Announce(std::string_view header,
                                     const smtp::ClientIdentity* identity,
                                     io::Time deadline) {
  if (identity != nullptr) identity_ = *identity;
  announced_ = header;
  absl::Status written = co_await stream_.Write(header, deadline);
  co_return written;
}

Task<absl::Status> Backend::Open(std::string hostname,
                                 std::string_view own_mark, io::Time deadline) {
  ++expected_replies_;
  CO_TRY_LET(greeting, co_await ReadReply(deadline, BackendStep::kGreeting));
  if (greeting.code != 220) {
    if (greeting.code >= 400) refusal_ = greeting.text;
    co_return UnexpectedReply("greeting", greeting.text);
  }
  greeting_ = smtp::FirstLine(greeting.text);
  const bool is_us =
      !own_mark.empty() && greeting.text.find(own_mark) != std::string::npos;
  if (is_us) {
    co_return absl::UnavailableError(
        "this is tlspost itself; set backend to the mail server's own address");
  }
  absl::Status greeted = co_await SayEhlo(std::move(hostname), deadline);
  co_return greeted;
}

Task<absl::Status> Backend::SayEhlo(std::string hostname, io::Time deadline) {
  const std::string ehlo = "EHLO " + hostname + "\r\n";
  CO_TRY(co_await Send(ehlo, 1, deadline));
  CO_TRY_LET(reply, co_await ReadReply(deadline, BackendStep::kHello));
  if (reply.code == 250) {
    capabilities_ = smtp::ParseEhlo(reply.text);
    co_return absl::OkStatus();
  }
  // HELO only to a server that does not know EHLO: one that is merely busy
  // would seem to take no identity.
  const bool knows_no_ehlo =
      reply.code == 500 || reply.code == 502 || reply.code == 504;
  if (!knows_no_ehlo) {
    if (reply.code >= 400) refusal_ = reply.text;
    co_return UnexpectedReply("reply to EHLO", reply.text);
  }
  const std::string helo = "HELO " + hostname + "\r\n";
  CO_TRY(co_await Send(helo, 1, deadline));
  CO_TRY_LET(plain_reply, co_await ReadReply(deadline, BackendStep::kHello));
  if (plain_reply.code != 250) {
    if (plain_reply.code >= 400) refusal_ = plain_reply.text;
    co_return UnexpectedReply("reply to HELO", plain_reply.text);
  }
  co_return absl::OkStatus();
}

Task<absl::Status> Backend::StartTls(std::unique_ptr<tls::TlsEngine> engine,
                                     std::string hostname, io::Time deadline) {
  CO_TRY(co_await Send("STARTTLS\r\n", 1, deadline));
  CO_TRY_LET(reply, co_await ReadReply(deadline, BackendStep::kStartTls));
  if (reply.code != 220) {
    co_return UnexpectedReply("reply to STARTTLS", reply.text);
  }
  if (readable()) {
    // CVE-2021-38371 and its family: replies injected before TLS would be
    // taken for answers given under it.
    co_return absl::UnavailableError(
        "it sent plaintext behind its reply to STARTTLS, which may be "
        "somebody else's");
  }
  CO_TRY(co_await stream_.StartTls(std::move(engine), deadline));
  capabilities_ = smtp::EhloCapabilities();
  absl::Status greeted = co_await SayEhlo(std::move(hostname), deadline);
  co_return greeted;
}

void Backend::LeaveOut(const std::vector<std::string>& keywords) {
  const bool pipelining = capabilities_.pipelining;
  for (const std::string& keyword : keywords) {
    smtp::Discard(keyword, capabilities_);
  }
  capabilities_.pipelining = pipelining;
}

bool Backend::readable() {
  while (chunk_.empty()) {
    const auto progress = stream_.Next(&chunk_);
    // An end or a failure is for the next read to tell.
    if (!progress.ok()) return true;
    if (*progress != tls::TlsStream::Progress::kNeedsInput) return true;
    io::Chunk received = stream().TakeReceived();
    if (received.empty()) return stream().readable();
    stream_.Feed(std::move(received));
  }
  return true;
}

Task<absl::Status> Backend::Send(std::string_view commands,
                                 int expected_replies, io::Time deadline) {
  if (expected_replies_ == 0 && readable()) {
    // Whatever it is, it would be taken for the answer to this.
    co_return absl::UnavailableError("it talks unasked, or has closed");
  }
  expected_replies_ += expected_replies;
  // The server may have to be rid of its first replies before it takes the
  // last commands.
  stream().Watch();
  absl::Status written = co_await stream_.Write(commands, deadline);
  co_return written;
}

Task<absl::Status> Backend::SendData(std::string_view header,
                                     std::string_view body, io::Time deadline) {
  // Receiving goes on meanwhile, so that an early reply is noticed.
  stream().Watch();
  absl::Status written = co_await stream_.Write(header, body, deadline);
  co_return written;
}

Task<absl::StatusOr<BackendReply>> Backend::ReadReply(io::Time deadline,
                                                      BackendStep step) {
  const io::Time began = loop().Now();
  while (true) {
    if (!chunk_.empty()) {
      size_t consumed = 0;
      const smtp::ReplyParser::Result result =
          parser_.Parse(chunk_.view(), &consumed);
      chunk_.Consume(consumed);
      if (result == smtp::ReplyParser::Result::kMalformed) {
        co_return absl::UnavailableError(
            absl::StrFormat("not an SMTP reply: %s", parser_.error()));
      }
      if (result == smtp::ReplyParser::Result::kComplete) break;
    }
    auto received = co_await stream_.Read(deadline);
    if (absl::IsDeadlineExceeded(received.status()) && counters != nullptr) {
      ++counters->limits_hit[Limit::kBackendTimeout];
    }
    if (!received.ok()) co_return received.status();
    if (received->empty()) co_return absl::UnavailableError("lost connection");
    chunk_ = *std::move(received);
  }
  if (expected_replies_ == 0) {
    co_return absl::UnavailableError("a reply to nothing");
  }
  --expected_replies_;
  if (parser_.code() >= 400) ++errors;
  if (parser_.code() == 421) farewell_said_ = true;
  CountReply(step, parser_.code(), loop().Now() - began);
  co_return BackendReply(parser_.code(), parser_.TakeText());
}

void Backend::CountReply(BackendStep step, int code, io::Duration waited) {
  if (counters == nullptr) return;
  ++counters->backend_replies.at(static_cast<size_t>(step),
                                 ReplyClassIndex(code));
  const std::optional<Phase> phase = PhaseOf(step);
  if (phase.has_value()) counters->Observe(*phase, waited);
}

Task<absl::StatusOr<BackendReply>> Backend::Introduce(
    const smtp::ClientIdentity& identity, io::Time deadline) {
  // Until the reply says otherwise it is unknown whose connection this is. The
  // memory of the last one's name is for the next one's.
  std::optional<smtp::ClientIdentity> carried = std::move(identity_);
  identity_.reset();
  ++introductions_;
  std::string command = smtp::EncodeXclient(capabilities_.xclient, identity);
  CO_TRY(co_await Send(command, 1, deadline));
  KeepSpareString(command);
  CO_TRY_LET(reply, co_await ReadReply(deadline, BackendStep::kXclient));
  if (reply.code != 220) co_return reply;
  if (!carried.has_value()) carried.emplace();
  *carried = identity;
  identity_ = std::move(carried);
  co_return reply;
}

Task<absl::StatusOr<BackendReply>> Backend::Forward(
    const smtp::ClientIdentity& identity, std::string_view transaction,
    io::Time deadline) {
  BackendReply last(0, {});
  const std::vector<std::string> commands =
      smtp::EncodeXforward(capabilities_.xforward, identity, transaction);
  for (const std::string& command : commands) {
    CO_TRY(co_await Send(command, 1, deadline));
    CO_TRY_LET(reply, co_await ReadReply(deadline, BackendStep::kXforward));
    last = std::move(reply);
    if (last.code != 250) break;
  }
  co_return last;
}

Task<absl::StatusOr<BackendReply>> Backend::GreetAs(
    const smtp::ClientIdentity& identity, io::Time deadline) {
  std::string hello = identity.esmtp ? "EHLO " : "HELO ";
  hello += smtp::SanitizeForDomain(identity.helo) + "\r\n";
  CO_TRY(co_await Send(hello, 1, deadline));
  CO_TRY_LET(reply, co_await ReadReply(deadline, BackendStep::kHello));
  if (reply.code != 250) co_return reply;
  said_helo_ = !identity.esmtp;
  if (identity_.has_value()) {
    identity_->helo = identity.helo;
    identity_->esmtp = identity.esmtp;
  }
  co_return reply;
}

Task<absl::Status> Backend::ResetTransaction(io::Time deadline) {
  CO_TRY(co_await Send("RSET\r\n", 1, deadline));
  CO_TRY_LET(reply, co_await ReadReply(deadline, BackendStep::kRset));
  if (reply.code != 250) co_return UnexpectedReply("reply to RSET", reply.text);
  co_return absl::OkStatus();
}

}  // namespace tlspost
