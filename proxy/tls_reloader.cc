// Looking at files, and loading them.

#include "proxy/tls_reloader.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/open_file.h"
#include "common/base/status.h"

namespace tlspost {

TlsReloader::TlsReloader(TlsLoader& loader, Log& log,
                         std::chrono::milliseconds ticket_interval, Apply apply)
    : loader_(loader),
      log_(log),
      ticket_interval_(ticket_interval),
      apply_(std::move(apply)) {}

void TlsReloader::Watch(std::vector<std::string> files) {
  NoteEnd(/*successful=*/true);
  files_ = std::move(files);
  loaded_ = seen_ = Facts();
}

void TlsReloader::Start() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    started_ = true;
  }
  thread_ = std::thread([this] { Run(); });
}

void TlsReloader::Stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
  Answer(TakeRequests(), absl::CancelledError("tlspost is ending"));
}

void TlsReloader::Request(Done done) {
  absl::Status refused;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_) {
      refused = absl::CancelledError("it is ending");
    } else if (!started_) {
      // Perhaps for ever: a start may fail.
      refused = absl::CancelledError("still starting");
    } else {
      requests_.push_back(std::move(done));
    }
  }
  if (!refused.ok()) Answer({std::move(done)}, refused);
  wake_.notify_one();
}

std::vector<TlsReloader::Done> TlsReloader::TakeRequests() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return std::exchange(requests_, {});
}

void TlsReloader::Answer(const std::vector<Done>& asking,
                         const absl::Status& result) {
  for (const Done& done : asking) {
    if (done != nullptr) done(result);
  }
}

void TlsReloader::Run() {
  while (Wait()) Look();
}

// For the next look, or a request, which it obeys. False: the end has come.
bool TlsReloader::Wait() {
  {
    std::unique_lock<std::mutex> lock(mutex_);
    wake_.wait_for(lock, kLookInterval,
                   [this] { return !requests_.empty() || stopping_; });
    if (stopping_) return false;
  }
  const std::vector<Done> asking = TakeRequests();
  if (!asking.empty()) {
    Answer(asking, Reload(/*again=*/false, /*asked=*/true));
    return true;
  }
  // Good enough for keys: a look that takes long makes them last longer.
  key_age_ += kLookInterval;
  if (key_age_ < ticket_interval_) return true;
  key_age_ = std::chrono::milliseconds(0);
  loader_.RotateTicketKeys();
  return true;
}

void TlsReloader::Look() {
  std::vector<FileFacts> now = Facts();
  const bool settled = now == seen_;
  seen_ = std::move(now);
  const bool retry =
      !last_failure_.empty() && ++looks_since_failure_ >= kRetryLooks;
  const bool changed = settled && seen_ != loaded_;
  if (!changed && !retry) return;
  const absl::Status reloaded = Reload(/*again=*/!changed, /*asked=*/false);
  static_cast<void>(reloaded);  // the log has it, and the next look
}

absl::Status TlsReloader::Reload(bool again, bool asked) {
  looks_since_failure_ = 0;
  // Before they are read: what changes meanwhile is seen at the next look.
  std::vector<FileFacts> facts = Facts();
  TlsLoader::Loaded loaded;
  const bool has_more = asked && load_asked_ != nullptr;
  absl::Status status = has_more ? load_asked_(loaded) : loader_.Load(loaded);
  std::vector<std::string> files = std::move(loaded.files);
  if (!status.ok() && has_more && files.empty()) {
    // It is not about files that we look at: there is nothing to try again but
    // what there was.
    std::string before = std::move(last_failure_);
    NoteFailure(MessageOf(status), again);
    last_failure_ = std::move(before);
    return status;
  }
  if (!status.ok()) {
    // A repair may be in one of the old files or in one of the new.
    files.insert(files.end(), files_.begin(), files_.end());
    std::sort(files.begin(), files.end());
    files.erase(std::unique(files.begin(), files.end()), files.end());
  }
  const bool same_files = files_ == files;
  files_ = std::move(files);
  seen_ = loaded_ = same_files ? std::move(facts) : Facts();
  if (!status.ok()) {
    NoteFailure(MessageOf(status), again);
    return status;
  }
  last_failure_.clear();
  for (const std::string& warning : loaded.warnings) log_.Warning(warning);
  apply_(std::move(loaded.workers));
  NoteEnd(/*successful=*/true);
  log_.Info("TLS certificates reloaded");
  ++reloads_;
  return status;
}

// What is still wrong at another try is not said again.
void TlsReloader::NoteFailure(std::string_view why, bool again) {
  if (again && last_failure_ == why) return;
  last_failure_ = why;
  NoteEnd(/*successful=*/false);
  log_.Error(
      absl::StrFormat("reload: %s; what was loaded before stays in use", why));
  ++failures_;
}

void TlsReloader::NoteEnd(bool successful) {
  last_successful_ = successful;
  // lint-ok: clock, because this is a date to show and its thread is no loop's
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  last_time_s_ = std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

std::vector<TlsReloader::FileFacts> TlsReloader::Facts() const {
  std::vector<FileFacts> all;
  for (const std::string& file : files_) {
    FileFacts& facts = all.emplace_back();
    struct stat found = {};
    if (StatFile(file, found) != 0) {
      facts.error = errno;
      continue;
    }
    facts.device = found.st_dev;
    facts.inode = found.st_ino;
    facts.size = found.st_size;
    facts.modified_ns =
        found.st_mtim.tv_sec * 1'000'000'000 + found.st_mtim.tv_nsec;
    facts.changed_ns =
        found.st_ctim.tv_sec * 1'000'000'000 + found.st_ctim.tv_nsec;
  }
  return all;
}

}  // namespace tlspost
