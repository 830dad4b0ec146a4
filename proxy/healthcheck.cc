#include "proxy/healthcheck.h"

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/co_try.h"
#include "common/base/status.h"
#include "common/io/engine.h"
#include "common/io/network.h"
#include "common/smtp/proxy_header.h"
#include "proxy/config.h"
#include "proxy/dialogue_client.h"
#include "proxy/listener_settings.h"
#include "proxy/startup.h"

namespace tlspost {
namespace {

using std::chrono_literals::operator""s;

// For each step; engines wait 30 s for the whole.
constexpr io::Duration kHealthPatience = 8s;
// Small: it is for one connection at a time.
constexpr io::LoopOptions kHealthLoop = {.submission_entries = 64,
                                         .receive_buffers = 32};

// One address, and how it wants to be spoken to.
struct Front {
  std::string name;
  io::Endpoint server;
  bool implicit_tls = false;
  bool awaits_header = false;  // of the PROXY protocol, from our address
};

// Where a listener on all addresses can be reached from here.
io::Endpoint Reachable(const io::Endpoint& endpoint) {
  const std::string address = endpoint.Address();
  const bool is_any = address == "0.0.0.0" || address == "::";
  if (!is_any) return endpoint;
  auto loopback = io::Endpoint::FromIp(endpoint.is_ipv6() ? "::1" : "127.0.0.1",
                                       endpoint.port());
  return loopback.ok() ? *std::move(loopback) : endpoint;
}

// The settings as they hold at addresses with these `terms`.
absl::StatusOr<Settings> TermsOf(const Settings& settings, size_t terms) {
  if (terms == 0) return settings;
  return SettingsFor(settings.listeners[terms - 1], settings);
}

absl::StatusOr<std::vector<Front>> FrontsOf(const Settings& settings) {
  std::vector<ListenAddress> addresses;
  for (const ListenText& from : ListenTextsOf(settings)) {
    const absl::Status added = AddListenAddresses(from, addresses);
    if (!added.ok()) return added;
  }
  std::vector<Front> fronts;
  for (const ListenAddress& address : addresses) {
    const auto terms = TermsOf(settings, address.terms);
    if (!terms.ok()) return terms.status();
    const auto balancers = io::ParseNetworks(terms->haproxy_networks);
    if (!balancers.ok()) return balancers.status();
    Front front;
    front.name = address.endpoint.ToString();
    front.server = Reachable(address.endpoint);
    front.implicit_tls = address.implicit_tls;
    // We come from the address that we go to, or from a loopback one.
    front.awaits_header =
        terms->upstream_proxy_protocol == UpstreamProxyProtocol::kHaproxy &&
        io::AnyContains(*balancers, front.server);
    fronts.push_back(std::move(front));
  }
  return fronts;
}

Task<absl::Status> AskFront(io::Loop& loop, const Front& front) {
  DialogueClient client(loop, front.server, kHealthPatience, nullptr);
  CO_TRY(co_await client.Connect());
  if (front.awaits_header) {
    const std::string header = smtp::EncodeLocalProxyHeader();
    CO_TRY(co_await client.Send(header));
  }
  if (front.implicit_tls) {
    CO_TRY(co_await client.StartTls());
  }
  CO_TRY(co_await client.Hear(220));
  CO_TRY(co_await client.Say("EHLO healthcheck.invalid\r\n", 250));
  CO_TRY(co_await client.Say("QUIT\r\n", 221));
  co_return absl::OkStatus();
}

// The first address that does not do well ends it.
Task<void> AskAll(io::Loop& loop, const std::vector<Front>& fronts,
                  absl::Status& result) {
  for (const Front& front : fronts) {
    const absl::Status asked = co_await AskFront(loop, front);
    if (asked.ok()) continue;
    result = InSetting(front.name, asked);
    break;
  }
  loop.Stop();
}

absl::StatusOr<std::string> FindHealth(std::span<const char* const> args) {
  const auto settings = LoadSettings(args);
  if (!settings.ok()) return settings.status();
  const auto fronts = FrontsOf(*settings);
  if (!fronts.ok()) return fronts.status();
  auto loop = io::CreateLoop(io::EngineChoice::kAuto, kHealthLoop);
  if (!loop.ok()) return loop.status();
  absl::Status result;
  Task<void> all = AskAll(**loop, *fronts, result);
  all.Start();
  (*loop)->Run();
  if (!result.ok()) return result;
  return absl::StrJoin(*fronts, ", ", [](std::string* text, const Front& one) {
    text->append(one.name).append(one.implicit_tls ? " (TLS)" : "");
  });
}

}  // namespace

int RunHealthcheck(std::span<const char* const> args) {
  const auto health = FindHealth(args);
  if (!health.ok()) {
    const std::string_view why = MessageOf(health.status());
    std::fprintf(stderr, "tlspost healthcheck: %.*s\n",
                 static_cast<int>(why.size()), why.data());
    return 1;
  }
  std::printf("healthy: %s\n", health->c_str());
  return 0;
}

}  // namespace tlspost
