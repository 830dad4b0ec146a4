// TlsReloader: loads certificates anew when asked to (SIGHUP, tlspost reload)
// and when one of their files has changed, and lets the keys of session tickets
// expire. What else is loaded when asked is its owner's to say.
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
  // Loads what is loaded when asked, in place of TlsLoader::Load. On the
  // reloader's thread; Apply follows if it went well. A failure without files
  // is not tried again.
  using LoadAsked = std::function<absl::Status(TlsLoader::Loaded&)>;
  // Hears how a request ended, behind Apply and on that thread; Cancelled if
  // there was no time for it.
  using Done = std::function<void(const absl::Status&)>;

  // `loader` and `log` outlive this; `ticket_interval` is the time between two
  // changes of the ticket keys.
  TlsReloader(TlsLoader& loader, Log& log,
              std::chrono::milliseconds ticket_interval, Apply apply);
  ~TlsReloader() { Stop(); }

  // Before Start.
  void set_load_asked(LoadAsked load) { load_asked_ = std::move(load); }
  // On the reloader's thread, or before Start.
  void set_ticket_interval(std::chrono::milliseconds interval) {
    ticket_interval_ = interval;
  }

  // Before Start: `files` have just been loaded. What changes from now on will
  // be loaded.
  void Watch(std::vector<std::string> files);
  // Begins to look at them.
  void Start();
  void Stop();

  // Reloads now. Any thread; does not wait. Requests that come meanwhile are
  // answered by one load; one that comes before Start is answered Cancelled.
  void Request(Done done = nullptr);

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
  std::vector<Done> TakeRequests();
  static void Answer(const std::vector<Done>& asking,
                     const absl::Status& result);
  void Look();
  // `again`: only because the last one failed; `asked`: by Request.
  absl::Status Reload(bool again, bool asked);
  void NoteFailure(std::string_view why, bool again);
  void NoteEnd(bool successful);
  std::vector<FileFacts> Facts() const;

  TlsLoader& loader_;
  Log& log_;
  std::chrono::milliseconds ticket_interval_;
  const Apply apply_;
  LoadAsked load_asked_;
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
  std::vector<Done> requests_;  // guarded by mutex_
  bool started_ = false;        // guarded by mutex_
  bool stopping_ = false;       // guarded by mutex_
  std::thread thread_;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_TLS_RELOADER_H_
