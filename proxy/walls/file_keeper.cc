// Both ends of the socket pair.

#include "proxy/walls/file_keeper.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/check.h"

namespace tlspost {
namespace {

constexpr uint8_t kStatQuestion = 2;  // the others are a FileUse

// A disk that takes longer has trouble of its own.
constexpr timeval kAnswerTimeout = {.tv_sec = 10, .tv_usec = 0};

// The server's end waits for ours for a second.
constexpr int kEndLooks = 100;
constexpr useconds_t kEndLookInterval = 10'000;

struct Question {
  uint32_t number;
  uint8_t what;
  char path[PATH_MAX];  // as long as the datagram is
};
constexpr size_t kQuestionHead = offsetof(Question, path);

struct AnswerText {
  uint32_t number;
  int32_t error;
  struct stat facts;
};

union DescriptorSpace {
  cmsghdr align;
  char octets[CMSG_SPACE(sizeof(int))];
};

void SendAnswer(int socket, const AnswerText& text, int fd) {
  iovec part = {const_cast<AnswerText*>(&text), sizeof(text)};
  DescriptorSpace space = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (fd >= 0) {
    message.msg_control = &space;
    message.msg_controllen = sizeof(space.octets);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(fd));
    std::memcpy(CMSG_DATA(header), &fd, sizeof(fd));
  }
  // Who asked may have gone; then the next receive says so.
  sendmsg(socket, &message, MSG_NOSIGNAL);
}

void AnswerQuestion(int socket, const Question& question,
                    const std::string& path,
                    const FileKeeper::MayOpen& may_open) {
  AnswerText answer = {};
  answer.number = question.number;
  const bool only_stat = question.what == kStatQuestion;
  const FileUse use = question.what == static_cast<uint8_t>(FileUse::kAppend)
                          ? FileUse::kAppend
                          : FileUse::kRead;
  int fd = -1;
  if (question.what > kStatQuestion || !may_open(path, use)) {
    answer.error = EACCES;
  } else if (only_stat) {
    answer.error = StatFile(path, answer.facts) == 0 ? 0 : errno;
  } else {
    fd = OpenFile(path, use);
    answer.error = fd < 0 ? errno : 0;
  }
  SendAnswer(socket, answer, fd);
  if (fd >= 0) close(fd);
}

// The whole life of the keeper's process.
[[noreturn]] void Keep(int socket, const FileKeeper::MayOpen& may_open) {
  Question question;
  while (true) {
    const ssize_t size = recv(socket, &question, sizeof(question), 0);
    if (size < 0 && errno == EINTR) continue;
    // The server has ended.
    if (size <= static_cast<ssize_t>(kQuestionHead)) _exit(0);
    const std::string path(question.path,
                           static_cast<size_t>(size) - kQuestionHead);
    AnswerQuestion(socket, question, path, may_open);
  }
}

// What else is open (sockets of a service manager, perhaps) is the server's,
// and must not stay open when it closes it.
int LeaveOnly(int socket) {
  constexpr int kKept = STDERR_FILENO + 1;
  if (socket != kKept) {
    TLSPOST_CHECK(dup3(socket, kKept, O_CLOEXEC) == kKept);
  }
  close_range(kKept + 1, ~0U, 0);
  return kKept;
}

}  // namespace

struct FileKeeper::Answer {
  int error = 0;
  int fd = -1;
  struct stat facts = {};
};

absl::StatusOr<std::unique_ptr<FileKeeper>> FileKeeper::Start(
    MayOpen may_open, const std::function<void()>& confine) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("no socket pair: %s", strerror(errno)));
  }
  const pid_t process = fork();
  if (process < 0) {
    const int error = errno;
    close(ends[0]);
    close(ends[1]);
    return absl::ResourceExhaustedError(absl::StrFormat(
        "no process to open files with: %s; raise the limit of processes "
        "(ulimit -u, TasksMax=)",
        strerror(error)));
  }
  if (process == 0) {
    // The server decides when it is time to go.
    for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) {
      std::signal(number, SIG_IGN);
    }
    prctl(PR_SET_NAME, "tlspost-files");
    const int socket = LeaveOnly(ends[1]);
    confine();
    Keep(socket, may_open);
  }
  close(ends[1]);
  setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &kAnswerTimeout,
             sizeof(kAnswerTimeout));
  setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &kAnswerTimeout,
             sizeof(kAnswerTimeout));
  return std::unique_ptr<FileKeeper>(new FileKeeper(ends[0], process));
}

FileKeeper::~FileKeeper() {
  close(socket_);
  // One that hangs on a dead disk ends by itself when it can.
  for (int i = 0; i < kEndLooks; ++i) {
    if (waitpid(process_, nullptr, WNOHANG) != 0) return;
    usleep(kEndLookInterval);
  }
}

FileKeeper::Answer FileKeeper::Ask(uint8_t what, const std::string& path) {
  Answer answer;
  Question question = {};
  if (path.empty() || path.size() >= sizeof(question.path)) {
    answer.error = ENAMETOOLONG;
    return answer;
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  question.number = ++questions_;
  question.what = what;
  std::copy(path.begin(), path.end(), question.path);
  if (send(socket_, &question, kQuestionHead + path.size(), MSG_NOSIGNAL) < 0) {
    answer.error = errno == EAGAIN ? ETIMEDOUT : EPIPE;
    return answer;
  }
  while (true) {
    AnswerText text;
    iovec part = {&text, sizeof(text)};
    DescriptorSpace space = {};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = &space;
    message.msg_controllen = sizeof(space.octets);
    const ssize_t size = recvmsg(socket_, &message, MSG_CMSG_CLOEXEC);
    if (size < 0 && errno == EINTR) continue;
    if (size != static_cast<ssize_t>(sizeof(text))) {
      answer.error = size < 0 && errno == EAGAIN ? ETIMEDOUT : EPIPE;
      return answer;
    }
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (header != nullptr && header->cmsg_type == SCM_RIGHTS) {
      std::memcpy(&answer.fd, CMSG_DATA(header), sizeof(answer.fd));
    }
    if (text.number == question.number) {
      answer.error = text.error;
      answer.facts = text.facts;
      return answer;
    }
    // To a question that nobody waits for any more.
    if (answer.fd >= 0) close(std::exchange(answer.fd, -1));
  }
}

int FileKeeper::Open(const std::string& path, FileUse use, int& error) {
  const Answer answer = Ask(static_cast<uint8_t>(use), path);
  error = answer.error;
  return answer.fd;
}

int FileKeeper::Stat(const std::string& path, struct stat& facts) {
  const Answer answer = Ask(kStatQuestion, path);
  facts = answer.facts;
  return answer.error;
}

}  // namespace tlspost
