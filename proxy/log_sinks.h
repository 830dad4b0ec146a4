// The ends of the log: a file that can be reopened, and the sockets of syslog
// (RFC 3164's form, as syslog(3) sends it) and of systemd's journal (its native
// protocol).
//
// Private to log.cc: it includes spdlog. They run on the log's own thread,
// which may wait; who logs never does.

#ifndef TLSPOST_PROXY_LOG_SINKS_H_
#define TLSPOST_PROXY_LOG_SINKS_H_

#include <spdlog/sinks/base_sink.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tlspost {

// A sink that can go on in a new file.
class ReopenedSink {
 public:
  virtual ~ReopenedSink() = default;
  // Any thread.
  virtual absl::Status Reopen() = 0;
};

// A sink that counts the lines that nobody took.
class LossySink {
 public:
  virtual ~LossySink() = default;
  size_t lost() const { return lost_.load(std::memory_order_relaxed); }
  // Why the last of them were lost, as an errno.
  int last_error() const { return error_.load(std::memory_order_relaxed); }
  // Whether the last one was: what is said of it now would be lost as well.
  bool is_losing() const { return losing_.load(std::memory_order_relaxed); }

 protected:
  void CountLost(size_t lines, int error) {
    error_.store(error, std::memory_order_relaxed);
    losing_.store(true, std::memory_order_relaxed);
    lost_.fetch_add(lines, std::memory_order_relaxed);
  }
  void NoteTaken() {
    if (is_losing()) losing_.store(false, std::memory_order_relaxed);
  }

 private:
  std::atomic<size_t> lost_ = 0;
  std::atomic<int> error_ = 0;
  std::atomic<bool> losing_ = false;
};

// Lines in a file, or on standard error.
//
// What waits in the queue is written together, and who writes lines often finds
// them gathered for kGather: a write, and a wake-up of this thread by a worker,
// for each line cost a tenth of what a session does. A single line is written
// at once.
class FileSink final : public spdlog::sinks::base_sink<std::mutex>,
                       public ReopenedSink,
                       public LossySink {
 public:
  // How long a line may wait behind one that was just written.
  static constexpr std::chrono::milliseconds kGather{10};
  // More is never kept back.
  static constexpr size_t kMostGathered = 64 << 10;

  static absl::StatusOr<std::shared_ptr<FileSink>> Open(
      const std::string& path);
  static std::shared_ptr<FileSink> StandardError();
  ~FileSink() override;

  // How many lines wait behind the one at hand; before the first line.
  void set_backlog(std::function<size_t()> backlog, bool gathers);
  absl::Status Reopen() override;

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override;

 private:
  FileSink(std::string path, int fd, bool owns_fd)
      : path_(std::move(path)), owns_fd_(owns_fd), fd_(fd) {}
  void WriteOut();

  const std::string path_;
  const bool owns_fd_;
  std::function<size_t()> backlog_;
  bool gathers_ = false;
  // Guarded by the base's mutex.
  int fd_;
  spdlog::memory_buf_t text_;
};

enum class DatagramForm { kSyslog, kJournal };

class DatagramSink final : public spdlog::sinks::base_sink<std::mutex>,
                           public LossySink {
 public:
  // `tag` is what stands before "[PID]:".
  static absl::StatusOr<std::shared_ptr<DatagramSink>> Open(
      DatagramForm form, const std::string& path, const std::string& tag);
  ~DatagramSink() override;

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override {}

 private:
  DatagramSink(DatagramForm form, std::string path, std::string tag)
      : form_(form), path_(std::move(path)), tag_(std::move(tag)) {}

  int Connect();
  bool Send(std::string_view datagram);
  std::string SyslogDatagram(int priority, std::string_view line,
                             std::time_t time) const;
  std::string JournalDatagram(int priority, std::string_view line) const;

  const DatagramForm form_;
  const std::string path_;
  const std::string tag_;
  int fd_ = -1;  // guarded by the base's mutex; -1: not connected
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_LOG_SINKS_H_
