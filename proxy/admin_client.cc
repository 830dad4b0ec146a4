// One HTTP request on a loop of its own.

#include "proxy/admin_client.h"

#include <chrono>
#include <memory>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/co_try.h"
#include "common/base/status.h"
#include "common/base/task.h"
#include "common/io/engine.h"
#include "common/io/network.h"
#include "common/io/stream.h"
#include "common/io/task_group.h"

namespace tlspost {
namespace {

constexpr io::Duration kAnswerTime = std::chrono::seconds(10);

Task<absl::StatusOr<std::string>> Exchange(io::Loop& loop, io::Endpoint address,
                                           std::string request) {
  const io::Time deadline = loop.Now() + kAnswerTime;
  io::ConnectOp connect(loop, address, deadline);
  auto connected = co_await connect;
  if (!connected.ok()) co_return connected.status();
  std::unique_ptr<io::Stream> stream = *std::move(connected);
  CO_TRY(co_await stream->Write(request, deadline));
  std::string reply;
  while (true) {
    CO_TRY_LET(chunk, co_await stream->Read(deadline));
    if (chunk.empty()) co_return reply;
    reply += chunk.view();
    if (reply.size() > kMaxAdminPageOctets) {
      co_return absl::ResourceExhaustedError("the answer is too long");
    }
  }
}

Task<void> RunExchange(io::Loop& loop, io::Endpoint address,
                       std::string request,
                       absl::StatusOr<std::string>& reply) {
  reply = co_await Exchange(loop, std::move(address), std::move(request));
  loop.Stop();
}

// "HTTP/1.1 200 OK\r\n...\r\n\r\nBODY"
absl::StatusOr<std::string> BodyOf(std::string_view reply) {
  const size_t code = reply.find(' ');
  const size_t end = reply.find("\r\n\r\n");
  if (!reply.starts_with("HTTP/1.") || code == std::string_view::npos ||
      end == std::string_view::npos) {
    return absl::UnavailableError("that is no tlspost");
  }
  const std::string_view body = reply.substr(end + 4);
  if (reply.substr(code + 1, 3) == "200") return std::string(body);
  return absl::UnavailableError(
      absl::StrFormat("it answers %s", reply.substr(code + 1, 3)));
}

}  // namespace

absl::StatusOr<std::string> FetchAdminPage(const Settings& settings,
                                           std::string_view path) {
  if (settings.admin_listen.empty()) {
    return absl::FailedPreconditionError(
        "admin_listen is not set, so a running tlspost cannot be asked; set "
        "admin_listen = 127.0.0.1:9925, or name the file with --config=FILE");
  }
  auto endpoints = io::ResolveEndpoints(settings.admin_listen);
  if (!endpoints.ok()) return endpoints.status();
  auto loop = io::CreateLoop(io::EngineChoice::kAuto,
                             {.submission_entries = 16, .receive_buffers = 16});
  if (!loop.ok()) return loop.status();
  absl::StatusOr<std::string> reply = absl::UnavailableError("no answer");
  io::TaskGroup tasks(**loop);
  tasks.Spawn(RunExchange(
      **loop, endpoints->front(),
      absl::StrFormat(
          "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path,
          settings.admin_listen),
      reply));
  (*loop)->Run();
  const absl::StatusOr<std::string> body = reply.ok() ? BodyOf(*reply) : reply;
  if (body.ok()) return body;
  return MakeStatus(
      body.status().code(),
      absl::StrFormat("%s (admin_listen) does not answer: %s; is tlspost "
                      "running with these settings?",
                      settings.admin_listen, MessageOf(body.status())));
}

}  // namespace tlspost
