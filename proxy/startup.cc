#include "proxy/startup.h"

#include <sys/resource.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/base/status.h"
#include "common/io/network.h"
#include "common/io/own_address.h"
#include "proxy/admin_server.h"

namespace tlspost {
namespace {

// Descriptors beside those of clients and backends: log, rings, listeners.
constexpr uint64_t kSpareDescriptors = 64;

// Small: for a few connections of one request each.
constexpr io::LoopOptions kAdminLoop = {.submission_entries = 64,
                                        .receive_buffers = 32};

}  // namespace

int WorkerCount(const Settings& settings) {
  if (settings.workers > 0) return settings.workers;
  // lint-ok: thread, because it only asks how many cores there are
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

absl::StatusOr<io::Loops> CreateServerLoops(const Settings& settings) {
  std::vector<io::LoopOptions> options(
      static_cast<size_t>(WorkerCount(settings)));
  if (!settings.admin_listen.empty()) options.push_back(kAdminLoop);
  return io::CreateLoops(settings.io_engine, options);
}

std::string EngineWarning(const io::Loops& loops) {
  if (loops.why_not_io_uring.ok()) return "";
  return absl::StrFormat("epoll is used instead: %s",
                         MessageOf(loops.why_not_io_uring));
}

absl::Status InSetting(std::string_view setting, const absl::Status& status) {
  return MakeStatus(status.code(),
                    absl::StrFormat("%s: %s", setting, MessageOf(status)));
}

std::vector<ListenText> ListenTextsOf(const Settings& settings) {
  std::vector<ListenText> texts;
  for (const std::string& text : settings.listen) {
    texts.push_back({"listen", text, /*implicit_tls=*/false, /*terms=*/0});
  }
  for (const std::string& text : settings.listen_tls) {
    texts.push_back({"listen_tls", text, /*implicit_tls=*/true, /*terms=*/0});
  }
  size_t terms = 0;  // WorkerShared numbers them so
  for (const ListenerRule& rule : settings.listeners) {
    ++terms;
    for (const std::string& text : rule.addresses) {
      texts.push_back(
          {rule.place + ": address", text, rule.implicit_tls, terms});
    }
  }
  return texts;
}

absl::Status AddListenAddresses(const ListenText& from,
                                std::vector<ListenAddress>& addresses) {
  auto endpoints = io::ResolveEndpoints(from.text);
  if (!endpoints.ok()) return InSetting(from.setting, endpoints.status());
  for (io::Endpoint& endpoint : *endpoints) {
    const bool twice =
        endpoint.port() != 0 && std::any_of(addresses.begin(), addresses.end(),
                                            [&](const ListenAddress& other) {
                                              return other.endpoint == endpoint;
                                            });
    if (twice) {
      return InSetting(from.setting, absl::InvalidArgumentError(absl::StrFormat(
                                         "%s is given twice; give it once",
                                         endpoint.ToString())));
    }
    addresses.push_back({std::move(endpoint), from.implicit_tls, from.terms});
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<BackendAddress>> ResolveBackend(
    const std::string& text) {
  auto endpoints = io::ResolveEndpoints(text);
  if (!endpoints.ok()) return InSetting("backend", endpoints.status());
  std::vector<BackendAddress> addresses;
  for (io::Endpoint& endpoint : *endpoints) {
    addresses.push_back({text, std::move(endpoint)});
  }
  return addresses;
}

absl::Status CheckIsOther(const BackendAddress& backend,
                          const std::vector<ListenAddress>& listen) {
  const std::vector<io::AddressBytes> own = io::OwnAddresses();
  for (const ListenAddress& front : listen) {
    if (!io::LeadsTo(backend.endpoint, front.endpoint, own)) continue;
    return absl::InvalidArgumentError(absl::StrFormat(
        "backend: %s is this tlspost itself, which listens on %s; set backend "
        "to the mail server's own address",
        backend.name, front.endpoint.ToString()));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<io::Endpoint>> ResolveAdminListen(
    const Settings& settings) {
  if (settings.admin_listen.empty()) return std::vector<io::Endpoint>();
  auto endpoints = io::ResolveEndpoints(settings.admin_listen);
  if (!endpoints.ok()) return InSetting("admin_listen", endpoints.status());
  const auto loopback = io::ParseNetworks({"127.0.0.0/8", "::1"});
  TLSPOST_CHECK(loopback.ok());
  for (const io::Endpoint& endpoint : *endpoints) {
    if (!settings.admin_allow_remote && !io::AnyContains(*loopback, endpoint)) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "admin_listen: other machines may reach %s, and there is no "
          "password; use 127.0.0.1:PORT, or set admin_allow_remote = yes",
          endpoint.ToString()));
    }
  }
  return endpoints;
}

uint64_t RaiseDescriptorLimit() {
  rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
  }
  return limit.rlim_cur;
}

absl::StatusOr<int> ClientsWithin(uint64_t open_files_limit,
                                  const Settings& settings, size_t listeners,
                                  std::string* warning) {
  const uint64_t others =
      static_cast<uint64_t>(settings.backend_max_connections) +
      static_cast<uint64_t>(WorkerCount(settings)) *
          (listeners + 2 + Worker::kMaxTurnedAway) +
      AdminServer::kMaxConnections + kSpareDescriptors;
  if (open_files_limit <= others) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "the limit of %d open files leaves none for clients; raise it (ulimit "
        "-n, LimitNOFILE=)",
        open_files_limit));
  }
  const uint64_t room = open_files_limit - others;
  if (room >= static_cast<uint64_t>(settings.max_connections)) {
    return settings.max_connections;
  }
  *warning = absl::StrFormat(
      "max_connections is lowered from %d to %d: the limit of open files is "
      "%d (ulimit -n, LimitNOFILE=)",
      settings.max_connections, room, open_files_limit);
  return static_cast<int>(room);
}

}  // namespace tlspost
