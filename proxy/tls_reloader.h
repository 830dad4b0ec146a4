// TlsReloader: loads certificates anew when asked to (SIGHUP) and when one of
// their files has changed, and lets the keys of session tickets expire.
//
// A thread of its own looks at the files several times a second: whatever was
// replaced, a file, a link to it or a directory on the way (certbot switches
// links one after the other), shows in what the path leads to. Files that are
// still changing are waited for. What is bad changes nothing but the log.

#ifndef TLSPOST_PROXY_TLS_RELOADER_H_
#define TLSPOST_PROXY_TLS_RELOADER_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "proxy/log.h"
#include "proxy/tls_loader.h"

namespace tlspost {

class TlsReloader {
 public:
  // A load that has failed is tried again after so many looks, for the case
  // that the files are not to blame.
  static constexpr int kRetryLooks = 50;
  // Files are looked at so often; a change is loaded when nothing more has
  // changed until the next look.
  static constexpr std::chrono::milliseconds kLookInterval{200};

  // Called on the reloader's thread with what was loaded. It keeps all of it:
  // a context must end on the thread that uses it.
  using Apply = std::function<void(std::vector<WorkerTls>)>;

  // `loader` and `log` outlive this; `ticket_interval` is the time between two
  // changes of the ticket keys.
  TlsReloader(TlsLoader& loader, Log& log,
              std::chrono::milliseconds ticket_interval, Apply apply);
  ~TlsReloader() { Stop(); }

  // Begins to look at `files`.
  void Start(std::vector<std::string> files);
  void Stop();

  // Reloads now. Any thread; does not wait.
  void Request();

  // Any thread may ask.
  int64_t reloads() const { return reloads_; }
  int64_t failures() const { return failures_; }
  // How the last reload ended (that of the start went well), and when; a
  // failure that is only found again does not count anew.
  bool last_successful() const { return last_successful_; }
  int64_t last_time_s() const { return last_time_s_; }

 private:
  // What a path leads to, as far as stat(2) tells; changes when it does.
  struct FileFacts {
    int error = 0;
    uint64_t device = 0;
    uint64_t inode = 0;
    int64_t size = 0;
    int64_t modified_ns = 0;
    int64_t changed_ns = 0;
    bool operator==(const FileFacts&) const = default;
  };

  void Run();
  bool Wait();
  void Look();
  // `again`: only because the last one failed.
  void Reload(bool again);
  void NoteFailure(std::string_view why, bool again);
  void NoteEnd(bool successful);
  std::vector<FileFacts> Facts() const;

  TlsLoader& loader_;
  Log& log_;
  const std::chrono::milliseconds ticket_interval_;
  const Apply apply_;
  std::vector<std::string> files_;
  std::vector<FileFacts> loaded_;  // when they were loaded last
  std::vector<FileFacts> seen_;    // at the last look
  std::chrono::milliseconds key_age_{0};
  std::string last_failure_;  // empty: the last load went well
  int looks_since_failure_ = 0;
  std::atomic<int64_t> reloads_ = 0;
  std::atomic<int64_t> failures_ = 0;
  std::atomic<bool> last_successful_ = true;
  std::atomic<int64_t> last_time_s_ = 0;  // since 1970

  std::mutex mutex_;
  std::condition_variable wake_;
  bool requested_ = false;  // guarded by mutex_
  bool stopping_ = false;   // guarded by mutex_
  std::thread thread_;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_TLS_RELOADER_H_
