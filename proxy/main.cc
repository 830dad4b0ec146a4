// The program's commands: serve (the default), check, reload, trace,
// report, import-postfix, demo, healthcheck, container, and what is only
// printed.

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/io/service_manager.h"
#include "proxy/check/check.h"
#include "proxy/config.h"
#include "proxy/container.h"
#include "proxy/demo/demo.h"
#include "proxy/healthcheck.h"
#include "proxy/import/import_postfix.h"
#include "proxy/log.h"
#include "proxy/reload_command.h"
#include "proxy/report/report.h"
#include "proxy/server.h"
#include "proxy/service_watch.h"
#include "proxy/settings_help.h"
#include "proxy/signals.h"
#include "proxy/trace_command.h"
#include "proxy/walls/walls.h"

namespace tlspost {
namespace {

// The log's last lines are written within that time.
constexpr std::chrono::milliseconds kLastWordsTime{5000};

int Fail(const absl::Status& status) {
  const std::string line = "tlspost: " + std::string(MessageOf(status)) + "\n";
  // In one write: newer C libraries cut what is formatted into pieces, and the
  // log, which may go the same way, would come between them.
  std::fwrite(line.data(), 1, line.size(), stderr);
  return 1;
}

int Serve(std::span<const char* const> args) {
  SignalWatcher signals;
  const auto manager = io::ServiceManager::FromEnvironment();
  absl::StatusOr<Settings> settings = LoadSettings(args);
  if (!settings.ok()) return Fail(settings.status());
  const auto walls = Walls::Build(*settings, args);
  if (!walls.ok()) return Fail(walls.status());
  LogOptions log_options;
  log_options.file = settings->log_file;
  log_options.to = settings->log_to;
  log_options.format = settings->log_format;
  log_options.syslog_name = settings->syslog_name;
  log_options.hostname = settings->hostname;
  log_options.queue_lines = static_cast<size_t>(settings->log_queue_size);
  absl::StatusOr<std::unique_ptr<Log>> log = OpenLog(log_options);
  if (!log.ok()) return Fail(log.status());

  Server server(*std::move(settings), **log);
  server.set_read_settings([args] { return LoadSettings(args); });
  server.set_on_bound([&] {
    const absl::StatusOr<std::string> closed = (*walls)->Close();
    if (closed.ok()) (*log)->Info("walls: " + *closed);
    return closed.status();
  });
  const absl::Status started = server.Start();
  if (!started.ok()) return Fail(started);
  ServiceWatch watch(manager, server);
  const auto on_signal = [&](int number) {
    if (number == SIGHUP) {
      watch.NoteReload();
      server.Reload();
    } else if (number == SIGUSR1) {
      const absl::Status reopened = (*log)->Reopen();
      if (!reopened.ok()) (*log)->Error(MessageOf(reopened));
    } else {
      server.Terminate();
      watch.NoteTermination();
    }
  };
  if (manager.listens()) {
    signals.Start(on_signal, ServiceWatch::kTick, [&] { watch.Tick(); });
  } else {
    signals.Start(on_signal);
  }
  manager.Ready(server.StatusLine());
  const bool clean = server.Wait();
  signals.Stop();  // before what it calls is gone
  (*log)->Info("stopped");
  // Whoever reads the log may be stuck; what is still queued is lost then.
  const int status = clean ? 0 : 1;
  const auto give_up = [status] { _exit(status); };
  const auto on_last_signal = [give_up](int number) {
    if (number == SIGTERM || number == SIGINT) give_up();
  };
  signals.Start(on_last_signal, kLastWordsTime, give_up);
  return status;
}

int RunContainer(std::span<const char* const> args) {
  std::vector<absl::Status> errors;
  SettingOrigins origins;
  if (!LoadSettings(args, origins, errors)) return Fail(errors.front());
  const auto task = ChooseContainerTask(origins);
  if (!task.ok()) return Fail(task.status());
  if (*task == ContainerTask::kServe) return Serve(args);
  std::puts(
      "No backend is set (TLSPOST_BACKEND=HOST:PORT, or a settings file at "
      "/etc/tlspost/tlspost.toml), so this is the demonstration.\n");
  return RunDemo({});
}

int Main(std::span<const char* const> args) {
  const std::string_view command = args.size() > 1 ? args[1] : "";
  for (const std::string_view arg : args.subspan(1)) {
    const std::optional<std::string> printout = FindPrintout(arg);
    if (!printout.has_value()) continue;
    std::fputs(printout->c_str(), stdout);
    return 0;
  }
  if (command == "import-postfix") return RunImportPostfix(args.subspan(2));
  if (command == "demo") return RunDemo(args.subspan(2));
  if (command == "check") return RunCheck(args.subspan(2));
  if (command == "healthcheck") return RunHealthcheck(args.subspan(2));
  if (command == "container") return RunContainer(args.subspan(2));
  if (command == "reload") return RunReload(args.subspan(2));
  if (command == "trace") return RunTrace(args.subspan(2));
  if (command == "report") return RunReport(args.subspan(2));
  if (command == "serve") return Serve(args.subspan(2));
  if (command.empty() || command.starts_with('-')) {
    return Serve(args.subspan(1));
  }
  std::fprintf(stderr,
               "tlspost: unknown command \"%s\"; the commands are serve, "
               "check, reload, trace, report, import-postfix, healthcheck, "
               "container and demo, and --help tells more\n",
               args[1]);
  return 2;
}

}  // namespace
}  // namespace tlspost

int main(int argc, char** argv) {
  return tlspost::Main(
      std::span<const char* const>(argv, static_cast<size_t>(argc)));
}
