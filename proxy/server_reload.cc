// From settings to what is in force: at the start, and at a reload.
//
// A draft is made whole before anything changes. It is made and put into force
// on the reloader's thread; each worker takes it over between two turns.

#include <chrono>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "proxy/server.h"
#include "proxy/server_draft.h"
#include "proxy/server_thread.h"
#include "proxy/settings_table.h"
#include "proxy/startup.h"

namespace tlspost {
namespace {

// A worker's turn lasts milliseconds; one that takes longer is stuck.
constexpr std::chrono::seconds kTakeOverTimeout(10);

// Counts the workers that are done. Shared with them: one may be late.
class Countdown {
 public:
  explicit Countdown(size_t count) : left_(count) {}

  void Done() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      --left_;
    }
    none_left_.notify_one();
  }
  // False: some were not done in time.
  bool Wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    return none_left_.wait_for(lock, kTakeOverTimeout,
                               [this] { return left_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable none_left_;
  size_t left_;
};

// Settings that only a start can change stay as they are; their names.
std::vector<std::string> KeepUntilRestart(const Settings& now,
                                          Settings& wanted) {
  std::vector<std::string> kept;
  for (const Setting& setting : AllSettings()) {
    if (!setting.needs_restart) continue;
    if (FormatValue(setting, now) == FormatValue(setting, wanted)) continue;
    kept.emplace_back(setting.name);
    CopyValue(setting, now, wanted);
  }
  return kept;
}

std::vector<std::string> ChangedNames(const Settings& before,
                                      const Settings& after) {
  std::vector<std::string> names;
  for (const Setting& setting : AllSettings()) {
    if (FormatValue(setting, before) == FormatValue(setting, after)) continue;
    names.emplace_back(setting.name);
  }
  if (before.tls_policy != after.tls_policy) names.emplace_back("tls_policy");
  if (before.listeners != after.listeners) names.emplace_back("listener");
  return names;
}

}  // namespace

// --- the draft ------------------------------------------------------------

absl::Status Server::MakeDraft(Settings settings, Draft& draft) {
  draft.settings = std::move(settings);
  const absl::Status bound = BindListeners(draft);
  if (!bound.ok()) return bound;
  const absl::Status resolved = ResolveBackends(draft);
  if (!resolved.ok()) return resolved;
  return FitDescriptorLimit(draft);
}

absl::Status Server::BindListeners(Draft& draft) {
  std::vector<ListenAddress> addresses;
  std::vector<ListenSockets::Wanted> wanted;
  for (const ListenText& from : ListenTextsOf(*draft.settings)) {
    const absl::Status added = AddListenAddresses(from, addresses);
    if (!added.ok()) return added;
    for (size_t i = wanted.size(); i < addresses.size(); ++i) {
      wanted.push_back({addresses[i], from.setting});
    }
  }
  auto bound = sockets_.Bind(wanted);
  if (!bound.ok()) return bound.status();
  draft.sockets = *std::move(bound);
  return absl::OkStatus();
}

absl::Status Server::ResolveBackends(Draft& draft) const {
  for (const std::string& text : draft.settings->backend) {
    const auto addresses = ResolveBackend(text);
    if (!addresses.ok()) return addresses.status();
    for (const BackendAddress& address : *addresses) {
      const absl::Status is_other =
          CheckIsOther(address, draft.sockets.addresses());
      if (!is_other.ok()) return is_other;
      draft.backends.push_back(address);
    }
  }
  return absl::OkStatus();
}

absl::Status Server::FitDescriptorLimit(Draft& draft) {
  std::string warning;
  const auto clients =
      ClientsWithin(RaiseDescriptorLimit(), *draft.settings,
                    draft.sockets.addresses().size(), &warning);
  if (!clients.ok()) return clients.status();
  if (!warning.empty()) draft.warnings.push_back(warning);
  draft.settings->max_connections = *clients;
  return absl::OkStatus();
}

// --- a reload -------------------------------------------------------------

namespace {

// A folder of authorities stays what it is until a restart: without the file
// that it replaces nobody would be trusted, or everybody whom the system
// trusts.
absl::Status CheckAuthorities(const Settings& before, const Settings& now) {
  const auto is_moved = [&](std::string Settings::*folder,
                            std::string Settings::*file) {
    return before.*folder != now.*folder && before.*file != now.*file;
  };
  const bool clients = is_moved(&Settings::tls_CApath, &Settings::tls_CAfile);
  const bool backends =
      is_moved(&Settings::backend_tls_CApath, &Settings::backend_tls_CAfile);
  if (!clients && !backends) return absl::OkStatus();
  const std::string prefix = clients ? "tls_" : "backend_tls_";
  return Invalid(absl::StrFormat(
      "%sCApath: changes together with %sCAfile and only at a start; restart, "
      "or change %sCAfile alone",
      prefix, prefix, prefix));
}

}  // namespace

void Server::Reload() {
  if (reloader_ != nullptr) reloader_->Request();
}

Server::ReloadResult Server::ReloadAndWait() {
  if (reloader_ == nullptr)
    return {absl::CancelledError("still starting"), {}, {}};
  std::promise<ReloadResult> result;
  reloader_->Request([&](const absl::Status& status) {
    // Perhaps on this very thread, and no reload at all.
    if (absl::IsCancelled(status)) return result.set_value({status, {}, {}});
    // On the reloader's thread, which has just written it.
    if (!status.ok()) last_reload_.status = status;
    result.set_value(last_reload_);
  });
  return result.get_future().get();
}

absl::Status Server::LoadAsked(TlsLoader::Loaded& loaded) {
  last_reload_ = ReloadResult();
  draft_.reset();
  if (draining_) return absl::CancelledError("it drains");
  if (read_settings_ == nullptr) return tls_loader_.Load(loaded);
  absl::StatusOr<Settings> settings = read_settings_();
  if (!settings.ok()) return settings.status();
  const Settings& before = generation_->settings;
  const absl::Status fits = CheckAuthorities(before, *settings);
  if (!fits.ok()) return fits;
  std::vector<std::string> kept = KeepUntilRestart(settings_, *settings);
  // What is kept may not go with what is new.
  const absl::Status valid = ValidateSettings(*settings);
  if (!valid.ok()) return valid;
  auto draft = std::make_unique<Draft>();
  const absl::Status made = MakeDraft(*std::move(settings), *draft);
  if (!made.ok()) return made;
  draft->backends =
      KeepNotes(std::move(draft->backends), generation_->backends);
  const bool is_same =
      *draft->settings == before && draft->backends == generation_->backends;
  absl::Status tls = tls_loader_.LoadWith(*draft->settings, loaded);
  if (!tls.ok()) {
    // Other settings' files are not looked at.
    if (!is_same) loaded.files.clear();
    return tls;
  }
  last_reload_.kept = std::move(kept);
  if (!is_same) draft_ = std::move(draft);
  return absl::OkStatus();
}

void Server::UseTls(std::vector<WorkerTls> workers) {
  NoteCertificates(workers);
  if (draft_ != nullptr) {
    UseDraft(std::move(draft_), std::move(workers));
  } else {
    TellWorkers(std::move(workers), {});
  }
  if (last_reload_.kept.empty()) return;
  log_.Warning(absl::StrFormat("reload: %s: as before until a restart",
                               absl::StrJoin(last_reload_.kept, ", ")));
}

// Each takes it over between two turns; waits until all have. Without `listen`
// it is for TLS alone.
void Server::TellWorkers(std::vector<WorkerTls> workers,
                         std::vector<std::vector<ListenAddress>> listen) {
  const auto countdown = std::make_shared<Countdown>(threads_.size());
  for (size_t i = 0; i < threads_.size(); ++i) {
    Thread& thread = *threads_[i];
    // Also a worker that ends before its turn is done with it.
    const std::shared_ptr<void> token(
        nullptr, [countdown](void*) { countdown->Done(); });
    const std::lock_guard<std::mutex> lock(thread.mutex);
    if (thread.loop == nullptr) continue;
    if (listen.empty()) {
      thread.loop->PostRemote([&thread, token, tls = std::move(workers[i])] {
        thread.worker->UseTls(tls);
      });
      continue;
    }
    thread.loop->PostRemote([&thread, token, generation = generation_,
                             tls = std::move(workers[i]),
                             addresses = std::move(listen[i])] {
      thread.worker->UseGeneration(generation, tls, addresses);
    });
  }
  if (countdown->Wait()) return;
  last_reload_.status = absl::DeadlineExceededError(
      "not all workers have taken it over yet; they do when they answer");
  log_.Warning(absl::StrFormat("reload: %s", MessageOf(last_reload_.status)));
}

void Server::UseDraft(std::unique_ptr<Draft> draft,
                      std::vector<WorkerTls> workers) {
  std::vector<std::string> names =
      ChangedNames(generation_->settings, *draft->settings);
  if (names.empty()) names.emplace_back("addresses of the backend");
  for (const std::string& warning : draft->warnings) log_.Warning(warning);
  for (const std::string& warning : SettingsWarnings(*draft->settings)) {
    log_.Warning(warning);
  }
  generation_ = std::make_shared<const Generation>(*std::move(draft->settings),
                                                   std::move(draft->backends));
  shared_->UseLimits(generation_->settings);
  reloader_->set_ticket_interval(
      generation_->settings.tls_session_cache_timeout);
  TellWorkers(std::move(workers), sockets_.Use(std::move(draft->sockets)));
  last_reload_.words = absl::StrJoin(names, ", ");
  log_.Info(absl::StrFormat("settings reloaded: %s", last_reload_.words));
}

}  // namespace tlspost
