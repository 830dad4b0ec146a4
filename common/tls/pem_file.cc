#include "common/tls/pem_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "absl/strings/str_format.h"
#include "common/base/open_file.h"
#include "common/base/status.h"

namespace tlspost::tls {
namespace {

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  const int fd_;
};

absl::Status OpenError(const std::string& title, int error) {
  if (error == ENOENT || error == ENOTDIR) {
    return MakeStatus(absl::StatusCode::kNotFound,
                      title +
                          " does not exist; correct the path, or put the "
                          "file there");
  }
  if (error == EACCES || error == EPERM) {
    return MakeStatus(absl::StatusCode::kPermissionDenied,
                      "cannot read " + title +
                          ": permission denied; let the user that runs this "
                          "process read it");
  }
  return MakeStatus(absl::StatusCode::kUnavailable,
                    "cannot read " + title + ": " + std::strerror(error));
}

// certbot's live/ directory holds links into archive/: what is to be changed
// is the file at the end of them.
std::string WithLinkTarget(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(
      realpath(path.c_str(), nullptr), &std::free);
  return real == nullptr ? path : std::string(real.get());
}

// Who may write to the directory of a file can put another one in its place.
// In a sticky directory that takes the owner of the file.
std::string DirectoryProblem(const std::string& shown,
                             const std::string& path) {
  const size_t slash = path.rfind('/');
  std::string directory = slash == std::string::npos ? "." : path;
  if (slash != std::string::npos) directory.resize(slash == 0 ? 1 : slash);
  struct stat facts = {};
  if (stat(directory.c_str(), &facts) != 0) return "";
  if ((facts.st_mode & (S_IWGRP | S_IWOTH)) == 0) return "";
  if ((facts.st_mode & S_ISVTX) != 0) return "";
  return absl::StrFormat(
      "%s can be replaced by others, because its directory %s is open for "
      "writing to its group or to everybody (mode %04o); close it with: chmod "
      "go-w %s",
      shown, directory, facts.st_mode & 07777, directory);
}

std::string PermissionProblem(const std::string& title, std::string_view secret,
                              const std::string& path,
                              const struct stat& facts) {
  const std::string real = WithLinkTarget(path);
  const std::string shown =
      real == path ? title : title + " (a link to " + real + ")";
  // A service that is not root reads root's keys as a member of a group, as
  // Debian's ssl-cert.
  const bool by_group = facts.st_uid == 0 && geteuid() != 0;
  const mode_t allowed = by_group ? S_IRGRP : 0;
  if ((facts.st_mode & (S_IRWXG | S_IRWXO) & ~allowed) != 0) {
    return absl::StrFormat(
        "%s holds %s and is open to its group or to everybody (mode %04o); "
        "close it with: chmod 600 %s",
        shown, std::string(secret), facts.st_mode & 07777, real);
  }
  if (facts.st_uid != 0 && facts.st_uid != geteuid()) {
    return absl::StrFormat(
        "%s holds %s and belongs to user id %d, which is neither root nor the "
        "user that runs this process; correct it with: chown root %s",
        shown, std::string(secret), facts.st_uid, real);
  }
  const std::string problem = DirectoryProblem(shown, real);
  return problem.empty() ? DirectoryProblem(shown, path) : problem;
}

}  // namespace

PemText::~PemText() { explicit_bzero(text.data(), text.size()); }

absl::StatusOr<PemText> ReadPemFile(std::string_view kind,
                                    const std::string& path,
                                    std::string_view secret) {
  PemText pem;
  pem.kind = std::string(kind);
  pem.name = path;
  pem.is_file = true;
  const FileDescriptor file(OpenFile(path, FileUse::kRead));
  if (file.get() < 0) return OpenError(pem.title(), errno);
  struct stat facts = {};
  if (fstat(file.get(), &facts) != 0) return OpenError(pem.title(), errno);
  if (S_ISDIR(facts.st_mode)) {
    return MakeStatus(absl::StatusCode::kInvalidArgument,
                      pem.title() + " is a directory; name a file in it");
  }
  pem.permission_problem = PermissionProblem(pem.title(), secret, path, facts);
  // Growing would leave copies of a key in freed memory.
  pem.text.reserve(
      std::min<size_t>(static_cast<size_t>(facts.st_size) + 1, kMaxPemOctets));
  char part[4096];
  absl::Status status;
  while (status.ok()) {
    const ssize_t got = read(file.get(), part, sizeof(part));
    if (got < 0 && errno == EINTR) continue;
    if (got == 0) break;
    if (got < 0) {
      status = OpenError(pem.title(), errno);
    } else if (pem.text.size() + static_cast<size_t>(got) > kMaxPemOctets) {
      status = Invalid(pem.title() +
                       " is larger than 4 MiB, which no certificate or key "
                       "is; correct the path");
    } else {
      pem.text.append(part, static_cast<size_t>(got));
    }
  }
  // And so would this.
  explicit_bzero(part, sizeof(part));
  if (!status.ok()) return status;
  return pem;
}

std::vector<PemBlock> SplitPem(std::string_view text) {
  constexpr std::string_view kBegin = "-----BEGIN ";
  constexpr std::string_view kDashes = "-----";
  std::vector<PemBlock> blocks;
  size_t at = 0;
  while ((at = text.find(kBegin, at)) != std::string_view::npos) {
    const size_t label_at = at + kBegin.size();
    const size_t label_end = text.find(kDashes, label_at);
    if (label_end == std::string_view::npos) break;
    const std::string_view label = text.substr(label_at, label_end - label_at);
    const std::string closing = "-----END " + std::string(label) + "-----";
    const size_t end = text.find(closing, label_end);
    if (end == std::string_view::npos) {
      at = label_end;
      continue;
    }
    const size_t after = end + closing.size();
    blocks.push_back({label, text.substr(at, after - at)});
    at = after;
  }
  return blocks;
}

}  // namespace tlspost::tls
