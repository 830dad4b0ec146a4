#include "proxy/log_sinks.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <thread>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/open_file.h"
#include "common/base/status.h"

namespace tlspost {
namespace {

// The journal's own library asks for so much, for long messages.
constexpr int kSendBuffer = 8 << 20;
// A daemon that takes nothing for so long gets the next line instead.
constexpr timeval kSendTimeout = {.tv_sec = 1, .tv_usec = 0};

int PriorityOf(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::warn:
      return LOG_WARNING;
    case spdlog::level::err:
    case spdlog::level::critical:
      return LOG_ERR;
    default:
      return LOG_INFO;
  }
}

absl::StatusOr<int> OpenForLog(const std::string& path) {
  const int fd = OpenFile(path, FileUse::kAppend);
  if (fd >= 0) return fd;
  return Invalid(absl::StrFormat(
      "log_file: %s cannot be opened for writing: %s; correct the path or its "
      "permissions",
      path, strerror(errno)));
}

// FIELD=value, or the form for values with line ends: the name, a line end, the
// length in 64 bits (little-endian), and the value.
void AddField(std::string_view name, std::string_view value,
              std::string& datagram) {
  datagram += name;
  if (value.find('\n') == std::string_view::npos) {
    datagram.append("=").append(value).append("\n");
    return;
  }
  datagram += '\n';
  for (size_t i = 0; i < sizeof(uint64_t); ++i) {
    datagram += static_cast<char>(value.size() >> (8 * i) & 0xff);
  }
  datagram.append(value).append("\n");
}

}  // namespace

// --- files ------------------------------------------------------------------

absl::StatusOr<std::shared_ptr<FileSink>> FileSink::Open(
    const std::string& path) {
  const absl::StatusOr<int> fd = OpenForLog(path);
  if (!fd.ok()) return fd.status();
  return std::shared_ptr<FileSink>(new FileSink(path, *fd, /*owns_fd=*/true));
}

std::shared_ptr<FileSink> FileSink::StandardError() {
  return std::shared_ptr<FileSink>(
      new FileSink("", STDERR_FILENO, /*owns_fd=*/false));
}

FileSink::~FileSink() {
  WriteOut();
  if (owns_fd_) close(fd_);
}

void FileSink::set_backlog(std::function<size_t()> backlog, bool gathers) {
  backlog_ = std::move(backlog);
  gathers_ = gathers;
}

absl::Status FileSink::Reopen() {
  const absl::StatusOr<int> fd = OpenForLog(path_);
  if (!fd.ok()) return fd.status();
  const std::lock_guard<std::mutex> lock(mutex_);
  WriteOut();
  close(std::exchange(fd_, *fd));
  return absl::OkStatus();
}

void FileSink::sink_it_(const spdlog::details::log_msg& message) {
  formatter_->format(message, text_);
}

// After each line.
void FileSink::flush_() {
  const bool more = backlog_ && backlog_() > 0;
  if (more && text_.size() < kMostGathered) return;
  WriteOut();
  // The queue takes what comes meanwhile, and nobody is waked for it.
  if (gathers_ && !more) std::this_thread::sleep_for(kGather);
}

void FileSink::WriteOut() {
  const char* at = text_.data();
  size_t left = text_.size();
  while (left > 0) {
    const ssize_t written = write(fd_, at, left);
    if (written < 0 && errno == EINTR) continue;
    // A full disk: the rest is lost, the next lines may fit.
    if (written <= 0) {
      CountLost(static_cast<size_t>(std::count(at, at + left, '\n')), errno);
      break;
    }
    at += written;
    left -= static_cast<size_t>(written);
    NoteTaken();
  }
  text_.clear();
}

// --- sockets ----------------------------------------------------------------

absl::StatusOr<std::shared_ptr<DatagramSink>> DatagramSink::Open(
    DatagramForm form, const std::string& path, const std::string& tag) {
  std::shared_ptr<DatagramSink> sink(new DatagramSink(form, path, tag));
  const int error = sink->Connect();
  if (error == 0) return sink;
  return Invalid(absl::StrFormat(
      "log_to: nobody listens at %s (%s); start %s, or log to stderr or to a "
      "log_file",
      path, strerror(error),
      form == DatagramForm::kSyslog ? "a syslog daemon" : "systemd-journald"));
}

DatagramSink::~DatagramSink() {
  if (fd_ >= 0) close(fd_);
}

// 0, or an errno.
int DatagramSink::Connect() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path_.size() >= sizeof(address.sun_path)) return ENAMETOOLONG;
  path_.copy(address.sun_path, path_.size());
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kSendBuffer, sizeof(kSendBuffer));
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &kSendTimeout, sizeof(kSendTimeout));
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) !=
      0) {
    const int error = errno;
    close(fd);
    return error;
  }
  fd_ = fd;
  return 0;
}

bool DatagramSink::Send(std::string_view datagram) {
  if (fd_ < 0) return false;
  return send(fd_, datagram.data(), datagram.size(), MSG_NOSIGNAL) >= 0;
}

void DatagramSink::sink_it_(const spdlog::details::log_msg& message) {
  spdlog::memory_buf_t text;
  formatter_->format(message, text);
  std::string_view line(text.data(), text.size());
  if (line.ends_with('\n')) line.remove_suffix(1);
  const int priority = PriorityOf(message.level);
  const std::string datagram =
      form_ == DatagramForm::kSyslog
          ? SyslogDatagram(priority, line,
                           spdlog::log_clock::to_time_t(message.time))
          : JournalDatagram(priority, line);
  if (Send(datagram)) return NoteTaken();
  // The daemon may have been restarted, which makes a new socket.
  int error = Connect();
  if (error == 0 && !Send(datagram)) error = errno;
  if (error != 0) return CountLost(1, error);
  NoteTaken();
}

std::string DatagramSink::SyslogDatagram(int priority, std::string_view line,
                                         std::time_t time) const {
  std::tm local = {};
  localtime_r(&time, &local);
  char when[32];
  const size_t size =
      std::strftime(when, sizeof(when), "%b %e %H:%M:%S", &local);
  return absl::StrFormat("<%d>%s %s[%d]: %s", LOG_MAIL | priority,
                         std::string(when, size), tag_, getpid(),
                         std::string(line));
}

std::string DatagramSink::JournalDatagram(int priority,
                                          std::string_view line) const {
  std::string datagram;
  AddField("PRIORITY", std::to_string(priority), datagram);
  AddField("SYSLOG_FACILITY", std::to_string(LOG_MAIL >> 3), datagram);
  AddField("SYSLOG_IDENTIFIER", tag_, datagram);
  AddField("SYSLOG_PID", std::to_string(getpid()), datagram);
  AddField("MESSAGE", line, datagram);
  return datagram;
}

}  // namespace tlspost
