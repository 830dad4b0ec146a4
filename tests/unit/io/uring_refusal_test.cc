// Each cause in its own words.

#include "common/io/uring_refusal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

namespace tlspost::io {
namespace {

using testing::HasSubstr;
using testing::Not;

UringCircumstances Usual() {
  UringCircumstances usual;
  usual.kernel = "6.12.1";
  usual.locked_memory = {8 << 20, 8 << 20};
  return usual;
}

TEST(UringRefusal, EpermIsTheSysctlTheProfileOrAModule) {
  UringCircumstances now = Usual();
  EXPECT_THAT(WhyNoUring(EPERM, now), HasSubstr("security module"));
  now.guards.has_seccomp_filter = true;
  EXPECT_EQ(WhyNoUring(EPERM, now),
            "io_uring cannot be used: Operation not permitted: a seccomp "
            "profile forbids it; allow io_uring_setup, io_uring_enter and "
            "io_uring_register in it");
  now.disabled_sysctl = 2;
  EXPECT_EQ(WhyNoUring(EPERM, now),
            "io_uring cannot be used: Operation not permitted: "
            "kernel.io_uring_disabled is 2; allow it with: sysctl -w "
            "kernel.io_uring_disabled=0");
}

// 1 keeps only those away who are not privileged.
TEST(UringRefusal, TheSysctlsOneIsNotAboutAdministrators) {
  UringCircumstances now = Usual();
  now.guards.has_seccomp_filter = true;
  now.disabled_sysctl = 1;
  EXPECT_THAT(WhyNoUring(EPERM, now),
              HasSubstr("kernel.io_uring_disabled is 1"));
  now.guards.is_administrator = true;
  EXPECT_THAT(WhyNoUring(EPERM, now), HasSubstr("seccomp"));
}

TEST(UringRefusal, EnosysIsTheProfileOrTheKernel) {
  UringCircumstances now = Usual();
  EXPECT_EQ(WhyNoUring(ENOSYS, now),
            "io_uring cannot be used: Function not implemented: kernel 6.12.1 "
            "has none; use kernel 6.1 or newer");
  now.guards.has_seccomp_filter = true;
  EXPECT_THAT(WhyNoUring(ENOSYS, now),
              HasSubstr("a seccomp profile hides it; allow io_uring_setup"));
}

TEST(UringRefusal, EnomemSaysNeedAndLimit) {
  UringCircumstances now = Usual();
  now.rings = 17;
  now.octets = 1000 << 10;
  now.locked_memory = {64 << 10, ResourceLimit::kUnlimited};
  EXPECT_EQ(WhyNoUring(ENOMEM, now),
            "io_uring cannot be used: Cannot allocate memory: 17 rings need "
            "1000 KiB of locked memory, and the limit for all processes of "
            "this user is 64 KiB; raise it (ulimit -l, LimitMEMLOCK=infinity, "
            "--ulimit memlock=-1) or set fewer workers");
}

TEST(UringRefusal, EinvalIsAnOldKernel) {
  UringCircumstances now = Usual();
  now.kernel = "5.10.0";
  EXPECT_THAT(WhyNoUring(EINVAL, now), HasSubstr("this is 5.10.0"));
}

TEST(UringRefusal, AnythingElseIsTheKernelsOwnWord) {
  EXPECT_EQ(WhyNoUring(EMFILE, Usual()),
            "io_uring cannot be used: Too many open files: see "
            "io_uring_setup(2)");
}

TEST(UringRefusal, ARingNeedsWhatItsOptionsSay) {
  const size_t small =
      UringMemory({.submission_entries = 64, .receive_buffers = 32});
  const size_t usual = UringMemory(LoopOptions());
  EXPECT_GT(small, 0u);
  EXPECT_GT(usual, 4 * small);
  // What systemd and Debian give: 16 workers and the administrator's loop.
  EXPECT_LT(16 * usual + small, 8u << 20);
}

}  // namespace
}  // namespace tlspost::io
