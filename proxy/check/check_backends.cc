// All backends, each asked by a probe of its own, at the same time.

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/io/engine.h"
#include "common/io/task_group.h"
#include "proxy/check/backend_probe.h"
#include "proxy/check/check.h"
#include "proxy/startup.h"

namespace tlspost {
namespace {

std::vector<ListenAddress> ListenAddressesOf(const Settings& settings) {
  std::vector<ListenAddress> listen;
  for (const ListenText& from : ListenTextsOf(settings)) {
    const absl::Status added = AddListenAddresses(from, listen);
    static_cast<void>(added);  // whoever looks at ports says it
  }
  return listen;
}

// A wildcard address in brackets takes IPv4 clients, too.
bool HasIpv6Clients(const std::vector<ListenAddress>& listen) {
  return std::any_of(
      listen.begin(), listen.end(),
      [](const ListenAddress& address) { return address.endpoint.is_ipv6(); });
}

Task<void> RunAll(io::Loop& loop, io::TaskGroup& tasks,
                  std::vector<std::unique_ptr<BackendProbe>>& probes) {
  for (const auto& probe : probes) tasks.Spawn(probe->Run());
  // Each step of a probe has its own deadline.
  const bool drained = co_await tasks.Drained(io::kNever);
  static_cast<void>(drained);
  loop.Stop();
}

}  // namespace

void CheckBackends(const Settings& settings, const WorkerTls& tls,
                   std::vector<Finding>& findings) {
  AreaFindings found("backend", findings);
  const std::vector<ListenAddress> listen = ListenAddressesOf(settings);
  std::vector<BackendAddress> addresses;
  for (const std::string& text : settings.backend) {
    const auto resolved = ResolveBackend(text);
    if (!resolved.ok()) {
      found.Fail("backend", MessageOf(resolved.status()));
      continue;
    }
    for (const BackendAddress& address : *resolved) {
      const absl::Status is_other = CheckIsOther(address, listen);
      if (is_other.ok()) {
        addresses.push_back(address);
      } else {
        found.Fail("backend " + address.endpoint.ToString(),
                   MessageOf(is_other));
      }
    }
  }
  auto loop = io::CreateLoop(io::EngineChoice::kAuto, io::LoopOptions());
  if (!loop.ok()) return found.Fail("backend", MessageOf(loop.status()));
  ProbeOptions options;
  options.tls = tls.backend;
  options.has_ipv6_clients = HasIpv6Clients(listen);
  std::vector<std::unique_ptr<BackendProbe>> probes;
  for (const BackendAddress& address : addresses) {
    probes.push_back(
        std::make_unique<BackendProbe>(**loop, settings, address, options));
  }
  io::TaskGroup tasks(**loop);
  Task<void> all = RunAll(**loop, tasks, probes);
  all.Start();
  (*loop)->Run();
  for (const auto& probe : probes) {
    findings.insert(findings.end(), probe->findings().begin(),
                    probe->findings().end());
  }
}

}  // namespace tlspost
