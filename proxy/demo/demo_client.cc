// The client's side of the demonstration.

#include "proxy/demo/demo_client.h"

#include <chrono>
#include <cstdio>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/co_try.h"
#include "common/io/stream.h"
#include "common/smtp/tls_summary.h"

namespace tlspost {
namespace {

using std::chrono_literals::operator""s;

// The demonstration talks to itself: anything slower than this is stuck.
constexpr io::Duration kPatience = 20s;

constexpr std::string_view kMessage =
    "From: Alice <alice@client.example>\r\n"
    "To: Bob <bob@example.org>\r\n"
    "Subject: Hello through tlspost\r\n"
    "\r\n"
    "The way here was encrypted; see the Received: header.\r\n"
    ".\r\n";

void Print(std::string_view who, std::string_view text) {
  while (!text.empty()) {
    const size_t end = text.find("\r\n");
    std::printf("  %.*s %.*s\n", static_cast<int>(who.size()), who.data(),
                static_cast<int>(std::min(end, text.size())), text.data());
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 2);
  }
}

}  // namespace

Task<absl::Status> DemoClient::SendOneMessage() {
  io::ConnectOp connect(loop_, server_, loop_.Now() + kPatience);
  CO_TRY_LET(transport, co_await connect);
  stream_ = std::make_unique<tls::TlsStream>(std::move(transport));
  CO_TRY(co_await Hear(220));
  CO_TRY(co_await Say("EHLO client.example\r\n", 250));
  CO_TRY(co_await Say("STARTTLS\r\n", 220));
  CO_TRY(co_await StartTls());
  CO_TRY(co_await Say("EHLO client.example\r\n", 250));
  CO_TRY(co_await Say("MAIL FROM:<alice@client.example>\r\n", 250));
  CO_TRY(co_await Say("RCPT TO:<bob@example.org>\r\n", 250));
  CO_TRY(co_await Say("DATA\r\n", 354));
  CO_TRY(co_await Say(kMessage, 250));
  CO_TRY(co_await Say("QUIT\r\n", 221));
  stream_.reset();
  co_return absl::OkStatus();
}

Task<absl::Status> DemoClient::StartTls() {
  // It is our own throw-away certificate: there is nothing to verify.
  CO_TRY_LET(context, tls::TlsContext::CreateClient(tls::ClientTlsOptions()));
  const io::Time deadline = loop_.Now() + kPatience;
  CO_TRY(co_await stream_->StartTls(std::move(context), deadline));
  const TlsDescription tls = stream_->engine()->Describe();
  const std::string summary = smtp::FormatTlsSummary(tls);
  std::printf("  -- %s --\n", summary.c_str());
  co_return absl::OkStatus();
}

Task<absl::Status> DemoClient::Say(std::string_view line, int code) {
  Print("C:", line);
  const io::Time deadline = loop_.Now() + kPatience;
  CO_TRY(co_await stream_->Write(line, deadline));
  absl::Status heard = co_await Hear(code);
  co_return heard;
}

Task<absl::Status> DemoClient::Hear(int code) {
  const io::Time deadline = loop_.Now() + kPatience;
  while (true) {
    size_t consumed = 0;
    const smtp::ReplyParser::Result result =
        parser_.Parse(chunk_.view(), &consumed);
    chunk_.Consume(consumed);
    if (result == smtp::ReplyParser::Result::kComplete) break;
    CO_TRY_LET(chunk, co_await stream_->Read(deadline));
    if (chunk.empty()) co_return absl::UnavailableError("lost connection");
    chunk_ = std::move(chunk);
  }
  Print("S:", parser_.text());
  if (parser_.code() == code) co_return absl::OkStatus();
  co_return absl::InternalError(
      absl::StrFormat("expected a %d, heard: %s", code, parser_.last_line()));
}

}  // namespace tlspost
