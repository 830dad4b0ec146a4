// The asynchronous log over spdlog: a bounded queue and one writer thread.

#include "proxy/log.h"

#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <utility>

#include "absl/strings/str_format.h"
#include "proxy/json_text.h"
#include "proxy/log_sinks.h"

namespace tlspost {
namespace {

// What spdlog puts in front of each line. Postfix's layout; and the beginning
// of an object that the line closes.
std::string PatternFor(const LogOptions& options) {
  if (options.format == LogFormat::kJson) {
    return "{\"time\":\"%Y-%m-%dT%H:%M:%S.%e%z\",%v}";
  }
  // The others put their own name and time in front of it.
  const bool is_stream = !options.file.empty() || options.to == LogTo::kStderr;
  if (!is_stream) return "%v";
  // Not spdlog's %P, which asks the kernel for each line.
  return "%b %d %H:%M:%S " + options.hostname + " " + options.syslog_name +
         "/smtpd[" + std::to_string(getpid()) + "]: %v";
}

// A shorter queue might be full before kGather is over.
constexpr size_t kFewestGathered = 4096;

class QueuedLog final : public Log {
 public:
  QueuedLog(const LogOptions& options, spdlog::sink_ptr sink,
            ReopenedSink* reopened, const LossySink* lossy)
      : format_(options.format),
        queue_lines_(options.queue_lines),
        reopened_(reopened),
        lossy_(lossy),
        threads_(std::make_shared<spdlog::details::thread_pool>(
            options.queue_lines, /*threads_n=*/1)),
        logger_(std::make_shared<spdlog::async_logger>(
            options.syslog_name, std::move(sink), threads_,
            // Never wait: the oldest queued line makes room.
            spdlog::async_overflow_policy::overrun_oldest)) {
    logger_->set_pattern(PatternFor(options));
    logger_->flush_on(spdlog::level::info);
  }

  ~QueuedLog() override { SayDrops(); }

  // `file` is the logger's sink. Before the first line.
  void GatherIn(FileSink& file) {
    // Only the queue's own thread calls it, and the queue waits for that.
    file.set_backlog([queue = threads_.get()] { return queue->queue_size(); },
                     /*gathers=*/queue_lines_ >= kFewestGathered);
  }

  bool takes_records() const override { return format_ == LogFormat::kJson; }

  void Record(std::string_view fields) override {
    MakeRoomKnown();
    logger_->info("\"level\":\"info\",{}", fields);
  }

  absl::Status Reopen() override {
    return reopened_ == nullptr ? absl::OkStatus() : reopened_->Reopen();
  }

  size_t dropped() const override {
    return threads_->overrun_counter() + lossy_->lost();
  }

 protected:
  void Write(std::string_view level, std::string_view line) override {
    MakeRoomKnown();
    Put(level, line);
  }

 private:
  void Put(std::string_view level, std::string_view line) {
    const spdlog::level::level_enum severity =
        level.empty()          ? spdlog::level::info
        : level == "warning: " ? spdlog::level::warn
                               : spdlog::level::err;
    if (format_ == LogFormat::kText) {
      logger_->log(severity, "{}{}", level, line);
      return;
    }
    const std::string_view word = severity == spdlog::level::info   ? "info"
                                  : severity == spdlog::level::warn ? "warning"
                                                                    : "error";
    logger_->log(severity, "\"level\":\"{}\",\"event\":\"line\",\"message\":{}",
                 word, JsonQuoted(line));
  }

  void MakeRoomKnown() {
    const bool has_news =
        threads_->overrun_counter() !=
            said_drops_.load(std::memory_order_relaxed) ||
        lossy_->lost() != said_lost_.load(std::memory_order_relaxed);
    // Said when there is room again: in a full queue it would push out more.
    if (has_news && threads_->queue_size() < queue_lines_ / 2) SayDrops();
  }

  void SayDrops() {
    if (const size_t dropped = News(threads_->overrun_counter(), said_drops_)) {
      Put("warning: ",
          absl::StrFormat(
              "%d log lines were dropped because the log is slower than the "
              "mail; raise log_queue_size or write to a faster place",
              dropped));
    }
    if (lossy_->is_losing()) return;
    if (const size_t lost = News(lossy_->lost(), said_lost_)) {
      Put("warning: ", absl::StrFormat("%d log lines could not be written: %s",
                                       lost, strerror(lossy_->last_error())));
    }
  }

  // How many of `now` have not been said; they count as said from here on.
  static size_t News(size_t now, std::atomic<size_t>& said_so_far) {
    size_t said = said_so_far.load(std::memory_order_relaxed);
    if (now == said) return 0;
    return said_so_far.compare_exchange_strong(said, now) ? now - said : 0;
  }

  const LogFormat format_;
  const size_t queue_lines_;
  // Parts of the logger's sink, the first where it can do such a thing.
  ReopenedSink* const reopened_;
  const LossySink* const lossy_;
  std::shared_ptr<spdlog::details::thread_pool> threads_;
  std::shared_ptr<spdlog::async_logger> logger_;
  std::atomic<size_t> said_drops_ = 0;
  std::atomic<size_t> said_lost_ = 0;
};

absl::StatusOr<std::unique_ptr<Log>> OpenFileLog(const LogOptions& options) {
  auto sink = FileSink::Open(options.file);
  if (!sink.ok()) return sink.status();
  FileSink* const file = sink->get();
  auto log = std::make_unique<QueuedLog>(options, *std::move(sink), file, file);
  log->GatherIn(*file);
  return log;
}

std::unique_ptr<Log> OpenErrorLog(const LogOptions& options) {
  const std::shared_ptr<FileSink> sink = FileSink::StandardError();
  auto log = std::make_unique<QueuedLog>(options, sink, nullptr, sink.get());
  log->GatherIn(*sink);
  return log;
}

absl::StatusOr<std::unique_ptr<Log>> OpenSocketLog(const LogOptions& options) {
  const bool is_journal = options.to == LogTo::kJournal;
  auto sink = DatagramSink::Open(
      is_journal ? DatagramForm::kJournal : DatagramForm::kSyslog,
      is_journal ? options.journal_socket : options.syslog_socket,
      options.syslog_name + "/smtpd");
  if (!sink.ok()) return sink.status();
  const DatagramSink* const lossy = sink->get();
  return std::make_unique<QueuedLog>(options, *std::move(sink), nullptr, lossy);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Log>> OpenLog(const LogOptions& options) {
  if (!options.file.empty()) return OpenFileLog(options);
  if (options.to != LogTo::kStderr) return OpenSocketLog(options);
  return OpenErrorLog(options);
}

}  // namespace tlspost
