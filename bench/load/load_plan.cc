#include "bench/load/load_plan.h"

#include <sys/random.h>

#include <string>

#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/base/status.h"
#include "common/io/network.h"

namespace tlspost::load {
namespace {

absl::Status Wrong(std::string_view option, const absl::Status& why) {
  return absl::InvalidArgumentError(
      absl::StrFormat("--%s: %s", option, MessageOf(why)));
}

bool IsThisMachine(const io::Endpoint& server) {
  if (server.is_unix()) return true;
  const auto loopback = io::ParseNetworks({"127.0.0.0/8", "::1"});
  TLSPOST_CHECK(loopback.ok());
  return io::AnyContains(*loopback, server);
}

// 127.0.0.1, 127.0.0.2, ...: the whole of 127/8 is this machine.
absl::StatusOr<std::vector<io::Endpoint>> MakeSources(
    int64_t count, const io::Endpoint& server) {
  std::vector<io::Endpoint> sources;
  if (count == 1) return sources;
  const bool v4 = !server.is_unix() && !server.is_ipv6();
  if (!v4 || !IsThisMachine(server)) {
    return absl::InvalidArgumentError(
        "--sources spreads over 127.0.0.0/8, which reaches only a server at "
        "an address in it");
  }
  for (int64_t i = 1; i <= count; ++i) {
    const auto source = io::Endpoint::FromIp(
        absl::StrFormat("127.%d.%d.%d", i >> 16, (i >> 8) & 255, i & 255), 0);
    if (!source.ok()) return source.status();
    sources.push_back(*source);
  }
  return sources;
}

}  // namespace

absl::StatusOr<LoadPlan> LoadPlan::Make(const LoadOptions& options) {
  LoadOptions settled = options;
  const absl::Status status = Settle(settled);
  if (!status.ok()) return status;
  const auto servers = io::ResolveEndpoints(options.server);
  if (!servers.ok()) return Wrong("server", servers.status());
  const io::Endpoint& server = servers->front();
  if (!options.allow_remote && !IsThisMachine(server)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s is not this machine; to load a server of yours elsewhere, add "
        "--allow-remote",
        server.ToString()));
  }
  auto sources = MakeSources(options.sources, server);
  if (!sources.ok()) return sources.status();
  auto sizes = measure::SizeDistribution::Parse(options.size);
  if (!sizes.ok()) return Wrong("size", sizes.status());
  const auto largest = static_cast<size_t>(sizes->largest());
  LoadPlan plan{settled, server, *std::move(sources), *std::move(sizes),
                MessageText(largest)};
  TLSPOST_CHECK(getrandom(&plan.run, sizeof(plan.run), 0) == sizeof(plan.run));
  return plan;
}

}  // namespace tlspost::load
