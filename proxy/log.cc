// The asynchronous log over spdlog: a bounded queue and one writer thread.

#include "proxy/log.h"

#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <atomic>
#include <chrono>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"

namespace tlspost {
namespace {

class QueuedLog final : public Log {
 public:
  QueuedLog(const LogOptions& options, spdlog::sink_ptr sink)
      : queue_lines_(options.queue_lines),
        threads_(std::make_shared<spdlog::details::thread_pool>(
            options.queue_lines, /*threads_n=*/1)),
        logger_(std::make_shared<spdlog::async_logger>(
            options.syslog_name, std::move(sink), threads_,
            // Never wait: the oldest queued line makes room.
            spdlog::async_overflow_policy::overrun_oldest)) {
    // Postfix's layout: "Nov 22 18:00:00 HOST NAME/smtpd[PID]: LINE".
    logger_->set_pattern("%b %d %H:%M:%S " + options.hostname + " " +
                         options.syslog_name + "/smtpd[%P]: %v");
    logger_->flush_on(spdlog::level::info);
  }

  ~QueuedLog() override { SayDrops(); }

  size_t dropped() const override { return threads_->overrun_counter(); }

 protected:
  void Write(std::string_view level, std::string_view line) override {
    const bool has_news = threads_->overrun_counter() !=
                          said_drops_.load(std::memory_order_relaxed);
    // Said when there is room again: in a full queue it would push out more.
    if (has_news && threads_->queue_size() < queue_lines_ / 2) SayDrops();
    logger_->info("{}{}", level, line);
  }

 private:
  void SayDrops() {
    const size_t dropped = threads_->overrun_counter();
    size_t said = said_drops_.load(std::memory_order_relaxed);
    if (dropped == said) return;
    if (!said_drops_.compare_exchange_strong(said, dropped)) return;
    logger_->info(
        "warning: {} log lines were dropped because the log is slower than "
        "the mail; raise log_queue_size or write to a faster place",
        dropped - said);
  }

  const size_t queue_lines_;
  std::shared_ptr<spdlog::details::thread_pool> threads_;
  std::shared_ptr<spdlog::async_logger> logger_;
  std::atomic<size_t> said_drops_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Log>> OpenLog(const LogOptions& options) {
  spdlog::sink_ptr sink;
  if (options.file.empty()) {
    sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  } else {
    try {
      sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.file);
    } catch (const spdlog::spdlog_ex& error) {
      return absl::InvalidArgumentError(
          absl::StrFormat("log_file: %s", error.what()));
    }
  }
  return std::make_unique<QueuedLog>(options, std::move(sink));
}

}  // namespace tlspost
