#include "common/io/uring_refusal.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "absl/strings/str_format.h"
#include "common/base/status.h"

namespace tlspost::io {
namespace {

constexpr std::string_view kAllowTheCalls =
    "allow io_uring_setup, io_uring_enter and io_uring_register in it";

// What the kernel charges for: an entry to submit (struct io_uring_sqe) and its
// place in the array of indices, the eight completions (io_uring_cqe) that go
// with it, a receive buffer (io_uring_buf), the heads of both queues.
constexpr size_t kSubmissionOctets = 64;
constexpr size_t kIndexOctets = 4;
constexpr size_t kCompletionsOctets = 8 * 16;
constexpr size_t kBufferOctets = 16;
constexpr size_t kHeadOctets = 320;

std::string Kib(uint64_t octets) {
  if (octets == ResourceLimit::kUnlimited) return "unlimited";
  return absl::StrFormat("%d KiB", (octets + 1023) / 1024);
}

std::string WhyForbidden(const UringCircumstances& now) {
  const bool by_sysctl =
      now.disabled_sysctl >= 2 ||
      (now.disabled_sysctl == 1 && !now.guards.is_administrator);
  if (by_sysctl) {
    return absl::StrFormat(
        "kernel.io_uring_disabled is %d; allow it with: sysctl -w "
        "kernel.io_uring_disabled=0",
        now.disabled_sysctl);
  }
  if (now.guards.has_seccomp_filter) {
    return absl::StrFormat("a seccomp profile forbids it; %s", kAllowTheCalls);
  }
  return "a security module forbids it (SELinux, AppArmor); allow it in the "
         "policy for this process";
}

std::string WhyUnknown(const UringCircumstances& now) {
  if (now.guards.has_seccomp_filter) {
    return absl::StrFormat("a seccomp profile hides it; %s", kAllowTheCalls);
  }
  return absl::StrFormat("kernel %s has none; use kernel 6.1 or newer",
                         now.kernel);
}

std::string WhyNoMemory(const UringCircumstances& now) {
  return absl::StrFormat(
      "%d rings need %s of locked memory, and the limit for all processes of "
      "this user is %s; raise it (ulimit -l, LimitMEMLOCK=infinity, --ulimit "
      "memlock=-1) or set fewer workers",
      now.rings, Kib(now.octets), Kib(now.locked_memory.soft));
}

}  // namespace

std::string WhyNoUring(int error, const UringCircumstances& circumstances) {
  std::string why;
  switch (error) {
    case EPERM:
    case EACCES:
      why = WhyForbidden(circumstances);
      break;
    case ENOSYS:
      why = WhyUnknown(circumstances);
      break;
    case ENOMEM:
      why = WhyNoMemory(circumstances);
      break;
    case EINVAL:
      why = absl::StrFormat(
          "kernel 6.1 or newer is needed (DEFER_TASKRUN); this is %s",
          circumstances.kernel);
      break;
    default:
      why = "see io_uring_setup(2)";
  }
  return absl::StrFormat("io_uring cannot be used: %s: %s", strerror(error),
                         why);
}

size_t UringMemory(const LoopOptions& options) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const auto in_pages = [page](size_t octets) {
    return (octets + page - 1) / page * page;
  };
  const size_t entries = std::bit_ceil(options.submission_entries);
  return in_pages(entries * kSubmissionOctets) +
         in_pages(kHeadOctets + entries * (kIndexOctets + kCompletionsOctets)) +
         in_pages(options.receive_buffers * kBufferOctets);
}

absl::Status UringRefusal(int error, std::span<const LoopOptions> rings) {
  UringCircumstances now;
  now.disabled_sysctl = ReadSysctl("kernel.io_uring_disabled").value_or(0);
  now.guards = LookAtGuards();
  utsname name = {};
  uname(&name);
  now.kernel = name.release;
  now.locked_memory = LockedMemoryLimit();
  now.rings = rings.size();
  for (const LoopOptions& each : rings) now.octets += UringMemory(each);
  return MakeStatus(error == ENOMEM ? absl::StatusCode::kResourceExhausted
                                    : absl::StatusCode::kFailedPrecondition,
                    WhyNoUring(error, now));
}

absl::Status UringMemoryRefusal(std::span<const LoopOptions> rings) {
  return UringRefusal(ENOMEM, rings);
}

}  // namespace tlspost::io
