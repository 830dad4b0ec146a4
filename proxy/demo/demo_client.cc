// The client's side of the demonstration.

#include "proxy/demo/demo_client.h"

#include <chrono>
#include <cstdio>
#include <string_view>
#include <utility>

#include "common/base/co_try.h"
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

DemoClient::DemoClient(io::Loop& loop, io::Endpoint server)
    : dialogue_(loop, std::move(server), kPatience, Print) {}

Task<absl::Status> DemoClient::SendOneMessage() {
  CO_TRY(co_await dialogue_.Connect());
  CO_TRY(co_await dialogue_.Hear(220));
  CO_TRY(co_await dialogue_.Say("EHLO client.example\r\n", 250));
  CO_TRY(co_await dialogue_.Say("STARTTLS\r\n", 220));
  CO_TRY(co_await StartTls());
  CO_TRY(co_await dialogue_.Say("EHLO client.example\r\n", 250));
  CO_TRY(co_await dialogue_.Say("MAIL FROM:<alice@client.example>\r\n", 250));
  CO_TRY(co_await dialogue_.Say("RCPT TO:<bob@example.org>\r\n", 250));
  CO_TRY(co_await dialogue_.Say("DATA\r\n", 354));
  CO_TRY(co_await dialogue_.Say(kMessage, 250));
  CO_TRY(co_await dialogue_.Say("QUIT\r\n", 221));
  dialogue_.Close();
  co_return absl::OkStatus();
}

Task<absl::Status> DemoClient::StartTls() {
  CO_TRY(co_await dialogue_.StartTls());
  const TlsDescription tls = dialogue_.engine()->Describe();
  const std::string summary = smtp::FormatTlsSummary(tls);
  std::printf("  -- %s --\n", summary.c_str());
  co_return absl::OkStatus();
}

}  // namespace tlspost
