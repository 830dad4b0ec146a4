// What a start takes from the machine: ports, descriptors, rings, the clock.

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "common/base/status.h"
#include "common/io/ares_resolver.h"
#include "common/io/engine.h"
#include "common/io/listen_socket.h"
#include "common/io/machine.h"
#include "common/io/memory_limit.h"
#include "common/io/unix_channel.h"
#include "proxy/check/check.h"
#include "proxy/log.h"
#include "proxy/memory_budget.h"
#include "proxy/startup.h"

namespace tlspost {
namespace {

std::string LimitText(uint64_t value) {
  return value == io::ResourceLimit::kUnlimited ? "unlimited"
                                                : std::to_string(value);
}

class MachineCheck {
 public:
  MachineCheck(const Settings& settings, std::vector<Finding>& findings)
      : settings_(settings), found_("machine", findings) {}

  void CheckPorts() {
    for (const ListenText& from : ListenTextsOf(settings_)) {
      const size_t known = listen_.size();
      const absl::Status added = AddListenAddresses(from, listen_);
      if (!added.ok()) found_.Fail(from.setting, MessageOf(added));
      for (size_t i = known; i < listen_.size(); ++i) {
        CheckPort(from.setting, listen_[i].endpoint);
      }
    }
    const auto admin = ResolveAdminListen(settings_);
    if (!admin.ok())
      return found_.Fail("admin_listen", MessageOf(admin.status()));
    for (const io::Endpoint& endpoint : *admin) {
      CheckAdminPort(endpoint);
    }
  }

  void CheckControlSocket() {
    const std::string& path = settings_.control_socket;
    if (path.empty()) return;
    if (io::UnixChannel::Connect(path).ok()) {
      return found_.Ok("control_socket",
                       "ours already: somebody listens at " + path);
    }
    const std::string folder = path.substr(0, path.rfind('/') + 1);
    if (access(folder.c_str(), W_OK | X_OK) == 0) {
      found_.Ok("control_socket", path + " can be made");
    } else {
      found_.Fail("control_socket",
                  absl::StrFormat("%s cannot be made: %s; make the folder, and "
                                  "let this user write there",
                                  path, strerror(errno)));
    }
  }

  void CheckResolver() {
    io::AresOptions options;
    options.servers = settings_.dns_servers;
    const auto resolver = io::CreateAresResolver(options);
    if (resolver.ok()) return;
    if (settings_.peername_lookup) {
      found_.Fail("dns_servers", MessageOf(resolver.status()));
    } else {
      found_.Warn("dns_servers", MessageOf(resolver.status()));
    }
  }

  void CheckDescriptors() {
    // The server raises its own limit as far as it may.
    const uint64_t limit = io::OpenFilesLimit().hard;
    std::string warning;
    const auto clients =
        ClientsWithin(limit, settings_, listen_.size(), &warning);
    if (!clients.ok()) {
      found_.Fail("open files", MessageOf(clients.status()));
    } else if (!warning.empty()) {
      found_.Warn("open files", warning);
    } else {
      found_.Ok("open files",
                absl::StrFormat("a limit of %s is enough for max_connections = "
                                "%d",
                                LimitText(limit), settings_.max_connections));
    }
  }

  // As many loops as the server would have, since each ring takes from the
  // limit of locked memory.
  void CheckEngine() {
    const auto loops = CreateServerLoops(settings_);
    if (!loops.ok()) return found_.Fail("io_engine", MessageOf(loops.status()));
    const std::string warning = EngineWarning(*loops);
    if (!warning.empty()) return found_.Warn("io_engine", warning);
    if (loops->engine == io::Engine::kEpoll) {
      return found_.Ok("io_engine", "epoll");
    }
    found_.Ok("io_engine",
              absl::StrFormat("io_uring, with a ring for each of %d workers "
                              "(limit of locked memory: %s bytes)",
                              WorkerCount(settings_),
                              LimitText(io::LockedMemoryLimit().soft)));
  }

  void CheckBacklog() {
    const int wanted = io::ListenOptions().backlog;
    const auto limit = io::ReadSysctl("net.core.somaxconn");
    if (!limit.has_value()) return;
    if (*limit < wanted) {
      found_.Warn(
          "backlog",
          absl::StrFormat("the kernel lets %d clients wait to be accepted, and "
                          "drops more in a burst; raise it: sysctl -w "
                          "net.core.somaxconn=%d",
                          *limit, wanted));
      return;
    }
    found_.Ok("backlog",
              absl::StrFormat("%d clients may wait to be accepted", wanted));
  }

  void CheckLog() {
    const std::string& file = settings_.log_file;
    if (file.empty()) return CheckLogDaemon();
    const size_t slash = file.rfind('/');
    const std::string folder =
        slash == std::string::npos ? "." : file.substr(0, slash + 1);
    const bool exists = access(file.c_str(), F_OK) == 0;
    const bool is_writable = exists ? access(file.c_str(), W_OK) == 0
                                    : access(folder.c_str(), W_OK | X_OK) == 0;
    if (is_writable) {
      found_.Ok("log_file", file + " can be written");
    } else {
      found_.Fail("log_file", file +
                                  " cannot be written by this user; correct "
                                  "the path, or let it: see ls -ld " +
                                  (exists ? file : folder));
    }
  }

  void CheckMemory() {
    const std::vector<MemoryTerm> terms = WorstCaseMemory(
        settings_, WorkerCount(settings_), settings_.max_connections);
    const std::string warning = MemoryWarning(terms, io::FindMemoryLimit());
    if (warning.empty()) {
      found_.Ok("memory", DescribeMemory(terms));
    } else {
      found_.Warn("memory", warning);
    }
  }

  void CheckClock() {
    const io::ClockFacts clock = io::LookAtClock();
    const std::string now =
        absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", absl::FromChrono(clock.now),
                         absl::UTCTimeZone());
    if (clock.built.has_value() && clock.now < *clock.built) {
      found_.Fail("clock", now +
                               " is before this program was built, so "
                               "certificates are not valid yet and dates in "
                               "headers are wrong; set the clock");
    } else if (clock.is_synchronized == false) {
      found_.Warn("clock", now +
                               ", and nothing keeps it right; let NTP do so "
                               "(chrony, systemd-timesyncd)");
    } else {
      found_.Ok("clock", now);
    }
  }

 private:
  void CheckLogDaemon() {
    if (settings_.log_to == LogTo::kStderr) return;
    LogOptions options;
    options.to = settings_.log_to;
    options.syslog_name = settings_.syslog_name;
    const auto log = OpenLog(options);
    if (log.ok()) {
      found_.Ok("log_to", "somebody takes the lines");
    } else {
      found_.Fail("log_to", MessageOf(log.status()));
    }
  }

  // Each is free for itself, and not for both.
  void CheckAdminPort(const io::Endpoint& endpoint) {
    const bool is_taken = std::any_of(
        listen_.begin(), listen_.end(), [&](const ListenAddress& address) {
          return address.endpoint.port() == endpoint.port() &&
                 endpoint.port() != 0 &&
                 (Covers(address.endpoint, endpoint) ||
                  Covers(endpoint, address.endpoint));
        });
    if (!is_taken) return CheckPort("admin_listen", endpoint);
    found_.Fail("admin_listen " + endpoint.ToString(),
                "is where clients come to; choose another port");
  }

  // Whether who comes to `b` may come to `a`.
  static bool Covers(const io::Endpoint& a, const io::Endpoint& b) {
    const std::string address = a.Address();
    return address == "::" || (address == "0.0.0.0" && !b.is_ipv6()) ||
           address == b.Address();
  }

  void CheckPort(std::string_view setting, const io::Endpoint& endpoint) {
    const std::string thing =
        absl::StrFormat("%s %s", setting, endpoint.ToString());
    const absl::Status is_free = io::CheckNotInUse(endpoint);
    if (is_free.ok()) return found_.Ok(thing, "free");
    if (!absl::IsAlreadyExists(is_free)) {
      return found_.Fail(thing, MessageOf(is_free));
    }
    const auto owner = io::FindListener(endpoint);
    if (owner.has_value() && owner->is_same_program) {
      return found_.Ok(thing,
                       absl::StrFormat("ours already: %s, process %d, listens "
                                       "there",
                                       owner->name, owner->process));
    }
    std::string text(MessageOf(is_free));
    if (owner.has_value() && owner->process > 0) {
      text += absl::StrFormat(" (it is %s, process %d)", owner->name,
                              owner->process);
    }
    found_.Fail(thing, text);
  }

  const Settings& settings_;
  AreaFindings found_;
  std::vector<ListenAddress> listen_;
};

}  // namespace

void CheckMachine(const Settings& settings, std::vector<Finding>& findings) {
  MachineCheck check(settings, findings);
  check.CheckPorts();
  check.CheckDescriptors();
  check.CheckEngine();
  check.CheckBacklog();
  check.CheckLog();
  check.CheckControlSocket();
  check.CheckResolver();
  check.CheckMemory();
  check.CheckClock();
}

}  // namespace tlspost
