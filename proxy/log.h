// Where log lines go.
//
// A line is handed over whole and never waits: a worker that logs is never
// blocked by a slow disk or terminal. Lines that find the queue full are
// dropped and counted, and the count is said in a line of its own.

#ifndef TLSPOST_PROXY_LOG_H_
#define TLSPOST_PROXY_LOG_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proxy/settings.h"

namespace tlspost {

class Log {
 public:
  virtual ~Log() = default;

  // Postfix's words: a warning is worth a look, an error needs somebody.
  void Info(std::string_view line) { Write({}, line); }
  void Warning(std::string_view line) { Write("warning: ", line); }
  void Error(std::string_view line) { Write("error: ", line); }

  // Whether sessions and transactions are written as objects, and not in lines.
  virtual bool takes_records() const { return false; }
  // An object's fields (log_record.h). Any thread; copied.
  virtual void Record(std::string_view /*fields*/) {}

  // Goes on in a new file of the same name, for who has renamed the old one.
  // Nothing is lost: a line is in the one or in the other. Error: one line, and
  // the old file stays in use.
  virtual absl::Status Reopen() { return absl::OkStatus(); }

  // Lines that found the queue full, or nobody to take them. Any thread.
  virtual size_t dropped() const { return 0; }

 protected:
  // Any thread. `line` is copied.
  virtual void Write(std::string_view level, std::string_view line) = 0;
};

struct LogOptions {
  std::string file;  // empty: where `to` says
  LogTo to = LogTo::kStderr;
  LogFormat format = LogFormat::kText;
  std::string syslog_name;  // "tlspost" gives "tlspost/smtpd[PID]:"
  std::string hostname;
  size_t queue_lines = 8192;
  std::string syslog_socket = "/dev/log";
  std::string journal_socket = "/run/systemd/journal/socket";
};

// The log of a serving process: "Nov 22 18:00:00 HOST NAME/smtpd[PID]: LINE",
// or JSON, written by a thread of its own. The destructor writes what is
// queued. Error: the file cannot be opened, or nobody listens at the socket.
absl::StatusOr<std::unique_ptr<Log>> OpenLog(const LogOptions& options);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_LOG_H_
