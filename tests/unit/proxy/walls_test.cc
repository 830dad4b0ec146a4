// The walls stand: each is built in a process of its own, which then tries what
// it must not be able to do, and what it must.

#include "proxy/walls/walls.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "common/base/status.h"
#include "proxy/config.h"
#include "proxy/walls/identity.h"
#include "proxy/walls/landlock.h"
#include "proxy/walls/syscall_filter.h"
#include "tests/unit/proxy/read_all.h"
#include "tests/unit/tls/temporary_folder.h"

namespace tlspost {
namespace {

using ::testing::HasSubstr;

constexpr uid_t kNobody = 65534;

// What `broken` says in a child process: "" if all is as it should be.
std::string InChild(const std::function<std::string()>& broken) {
  int ends[2];
  EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const pid_t child = fork();
  if (child == 0) {
    const std::string text = broken();
    [[maybe_unused]] const ssize_t written =
        write(ends[1], text.data(), text.size());
    _exit(0);
  }
  close(ends[1]);
  std::string text = ReadAll(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (status != 0) text += " (wait status " + std::to_string(status) + ")";
  return text;
}

// "" if the last call failed with `wanted`.
std::string Expect(const char* what, bool failed, int wanted) {
  const int error = errno;
  if (failed && error == wanted) return "";
  return std::string(what) + (failed ? " fails with " : " works, not ") +
         strerror(failed ? error : wanted) + "; ";
}

int g_threads_seen = 0;

void* CountThread(void*) {
  ++g_threads_seen;
  return nullptr;
}

// --- system calls -----------------------------------------------------------

TEST(SyscallFilter, NoProgramAndNoProcessIsStarted) {
  EXPECT_EQ(InChild([] {
              std::string wrong;
              if (!FilterSyscalls()) return std::string("no filter");
              char* const arguments[] = {nullptr};
              wrong += Expect("execve",
                              execve("/bin/true", arguments, arguments) != 0,
                              ENOSYS);
              wrong += Expect("fork", fork() < 0, ENOSYS);
              wrong += Expect(
                  "vfork", syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) < 0, ENOSYS);
              return wrong;
            }),
            "");
}

TEST(SyscallFilter, NoPrivilegeIsChangedAndNobodyIsLookedInto) {
  EXPECT_EQ(
      InChild([] {
        if (!FilterSyscalls()) return std::string("no filter");
        const pid_t parent = getppid();
        std::string wrong;
        wrong += Expect("setuid", syscall(SYS_setuid, kNobody) < 0, ENOSYS);
        wrong += Expect("kill", kill(parent, 0) < 0, ENOSYS);
        wrong +=
            Expect("ptrace", syscall(SYS_ptrace, 16, parent, 0, 0) < 0, ENOSYS);
        wrong += Expect(
            "process_vm_readv",
            syscall(SYS_process_vm_readv, parent, 0, 0, 0, 0, 0) < 0, ENOSYS);
        wrong += Expect("bpf", syscall(SYS_bpf, 0, 0, 0) < 0, ENOSYS);
        wrong += Expect("mount", syscall(SYS_mount, "a", "/", "b", 0, 0) < 0,
                        ENOSYS);
        wrong += Expect("io_uring_setup", syscall(SYS_io_uring_setup, 4, 0) < 0,
                        ENOSYS);
        wrong +=
            Expect("packet socket", socket(AF_PACKET, SOCK_RAW, 0) < 0, ENOSYS);
        wrong +=
            Expect("prctl", prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0, ENOSYS);
        return wrong;
      }),
      "");
}

TEST(SyscallFilter, NoMemoryIsMadeExecutable) {
  EXPECT_EQ(
      InChild([] {
        if (!FilterSyscalls()) return std::string("no filter");
        std::string wrong;
        void* both = mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        wrong += Expect("mmap", both == MAP_FAILED, ENOSYS);
        void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED) wrong += "no memory at all; ";
        wrong +=
            Expect("mprotect", mprotect(page, 4096, PROT_READ | PROT_EXEC) < 0,
                   ENOSYS);
        // What is written in one place and run in another.
        void* shared = mmap(nullptr, 4096, PROT_READ | PROT_EXEC,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        wrong += Expect("shared mmap", shared == MAP_FAILED, ENOSYS);
        wrong += Expect("memfd_create", memfd_create("code", 0) < 0, ENOSYS);
        // A library that is loaded late.
        const int program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        void* loaded =
            mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, program, 0);
        if (loaded == MAP_FAILED) wrong += "nothing can be loaded; ";
        return wrong;
      }),
      "");
}

TEST(SyscallFilter, ServingStillWorks) {
  EXPECT_EQ(InChild([] {
              if (!FilterSyscalls()) return std::string("no filter");
              std::string wrong;
              int pair[2];
              if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) {
                wrong += "socketpair; ";
              }
              if (write(pair[0], "x", 1) != 1) wrong += "write; ";
              // A thread, by whichever way this C library makes one.
              pthread_t thread;
              if (pthread_create(&thread, nullptr, CountThread, nullptr) == 0) {
                pthread_join(thread, nullptr);
              }
              if (g_threads_seen != 1) wrong += "pthread_create; ";
              const int file = open("/dev/null", O_RDONLY);
              if (file < 0) wrong += "open; ";
              // The zone in fe80::1%lo.
              if (if_nametoindex("lo") == 0) wrong += "if_nametoindex; ";
              return wrong;
            }),
            "");
}

TEST(SyscallFilter, HoldsForThreadsThatAreThereAlready) {
  EXPECT_EQ(InChild([] {
              std::string wrong;
              int start[2];
              if (pipe2(start, 0) != 0) return std::string("pipe");
              std::thread early([&] {
                char octet = 0;
                if (read(start[0], &octet, 1) != 1) wrong += "read; ";
                wrong += Expect("fork", fork() < 0, ENOSYS);
              });
              if (!FilterSyscalls()) wrong += "no filter; ";
              if (write(start[1], "x", 1) != 1) wrong += "write; ";
              early.join();
              return wrong;
            }),
            "");
}

// --- capabilities -----------------------------------------------------------

std::string CapabilitiesOf(pid_t thread) {
  std::ifstream status("/proc/self/task/" + std::to_string(thread) + "/status");
  std::string lines;
  for (std::string line; std::getline(status, line);) {
    const bool is_had = line.starts_with("CapEff:") ||
                        line.starts_with("CapPrm:") ||
                        line.starts_with("CapAmb:");
    if (is_had && line.find_first_not_of("0\t ", 7) != std::string::npos) {
      lines += line + "; ";
    }
  }
  return lines;
}

TEST(Capabilities, AreGivenUpInThreadsThatAreThereAlready) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to have any";
  EXPECT_EQ(InChild([] {
              std::string wrong;
              int end[2];
              if (pipe2(end, 0) != 0) return std::string("pipe");
              std::promise<pid_t> begun;
              std::thread early([&] {
                begun.set_value(gettid());
                char octet = 0;
                if (read(end[0], &octet, 1) != 1) wrong += "read; ";
              });
              const pid_t other = begun.get_future().get();
              if (CapabilitiesOf(other).empty()) wrong += "nothing to lose; ";
              if (!DropCapabilities()) wrong += "not all; ";
              wrong += CapabilitiesOf(gettid());
              wrong += CapabilitiesOf(other);
              if (write(end[1], "x", 1) != 1) wrong += "write; ";
              early.join();
              return wrong;
            }),
            "");
}

// --- files ------------------------------------------------------------------

TEST(Landlock, OnlyWhatIsNamedIsThere) {
  const tls::TemporaryFolder folder;
  mkdir(folder.Path("open").c_str(), 0755);
  mkdir(folder.Path("shut").c_str(), 0755);
  folder.Write("open/file", "x");
  folder.Write("shut/file", "x");
  const auto opens = [&](const char* name, int flags) {
    const int fd = open(folder.Path(name).c_str(), flags, 0600);
    const int error = errno;
    if (fd >= 0) close(fd);
    errno = error;
    return fd >= 0;
  };
  EXPECT_EQ(
      InChild([&] {
        const std::vector<FileRule> rules = {{folder.Path("open"), kMayRead}};
        if (RestrictFiles(rules) < 1) return std::string("no Landlock here");
        std::string wrong;
        if (!opens("open/file", O_RDONLY)) wrong += "what is open is shut; ";
        wrong += Expect("reading", !opens("shut/file", O_RDONLY), EACCES);
        wrong += Expect("writing", !opens("open/file", O_WRONLY), EACCES);
        wrong +=
            Expect("making", !opens("open/new", O_WRONLY | O_CREAT), EACCES);
        wrong += Expect("removing",
                        unlink(folder.Path("open/file").c_str()) != 0, EACCES);
        if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) {
          wrong += "privileges can be had; ";
        }
        return wrong;
      }),
      "");
}

TEST(Landlock, WhatALinkLeadsToIsThereAndWhatReplacesIt) {
  const tls::TemporaryFolder folder;
  mkdir(folder.Path("etc").c_str(), 0755);
  mkdir(folder.Path("run").c_str(), 0755);
  folder.Write("run/resolv.conf", "x");
  folder.Write("other", "x");
  const std::string link = folder.Path("etc/resolv.conf");
  ASSERT_EQ(symlink("../run/resolv.conf", link.c_str()), 0);
  const std::string directory = folder.Path("etc/certs");
  ASSERT_EQ(symlink("../run", directory.c_str()), 0);
  EXPECT_EQ(ReadBehind(link).path, folder.Path("run"));
  EXPECT_EQ(ReadBehind(directory).path, folder.Path("run"));
  // It is not there: no rule.
  EXPECT_EQ(ReadBehind(folder.Path("none")).path, "");
}

// As NetworkManager and openSUSE have them, in a mount namespace.
TEST(Landlock, TheSystemsFilesMayBeLinksToElsewhere) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to mount";
  const tls::TemporaryFolder folder;
  for (const char* name : {"run", "certs"}) {
    mkdir(folder.Path(name).c_str(), 0755);
    folder.Write(std::string(name) + "/file", "x");
  }
  const std::string answer = InChild([&] {
    if (unshare(CLONE_NEWNS) != 0 ||
        mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("none", "/etc", "tmpfs", 0, nullptr) != 0) {
      return std::string("no mounts");
    }
    mkdir("/etc/ssl", 0755);
    if (symlink(folder.Path("run/file").c_str(), "/etc/resolv.conf") != 0 ||
        symlink(folder.Path("certs").c_str(), "/etc/ssl/certs") != 0) {
      return std::string("no links");
    }
    const auto walls = Walls::Build(Settings(), {});
    if (!walls.ok()) return std::string(MessageOf(walls.status()));
    std::string wrong;
    if (open("/etc/resolv.conf", O_RDONLY) < 0) wrong += "resolv.conf; ";
    if (open("/etc/ssl/certs/file", O_RDONLY) < 0) wrong += "certs; ";
    return wrong;
  });
  if (answer == "no mounts") GTEST_SKIP() << "needs a mount namespace";
  EXPECT_EQ(answer, "");
}

// --- all of it --------------------------------------------------------------

class WallsTest : public ::testing::Test {
 protected:
  WallsTest() {
    if (geteuid() != 0) return;
    // Root's alone, as the keys of a mail server are.
    EXPECT_EQ(chmod(folder_.Path("").c_str(), 0700), 0);
    key_ = folder_.Write("key.pem", "secret");
    config_ = folder_.Write("tlspost.toml", Toml(key_));
    args_ = {config_option_.c_str()};
    config_option_ = "--config=" + config_;
    args_[0] = config_option_.c_str();
  }

  static std::string Toml(const std::string& key) {
    return "user = \"nobody\"\ntls_cert_file = \"" + key + "\"\nlog_file = \"" +
           key + ".log\"\n";
  }

  // What `broken` says behind the walls, as nobody.
  std::string Behind(const std::function<std::string()>& broken) {
    return InChild([&] {
      const absl::StatusOr<Settings> settings = LoadSettings(args_);
      if (!settings.ok()) return std::string(MessageOf(settings.status()));
      const auto walls = Walls::Build(*settings, args_);
      if (!walls.ok()) return std::string(MessageOf(walls.status()));
      const auto closed = (*walls)->Close();
      if (!closed.ok()) return std::string(MessageOf(closed.status()));
      return broken();
    });
  }

  const tls::TemporaryFolder folder_;
  std::string key_;
  std::string config_;
  std::string config_option_;
  std::vector<const char*> args_;
};

TEST_F(WallsTest, TheProcessIsNobodyForEver) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
  EXPECT_EQ(
      Behind([] {
        std::string wrong;
        if (getuid() != kNobody || geteuid() != kNobody) wrong += "uid; ";
        if (getgid() == 0 || getegid() == 0) wrong += "gid; ";
        gid_t groups[64];
        const int count = getgroups(64, groups);
        for (int i = 0; i < count; ++i) {
          if (groups[i] == 0) wrong += "root's group; ";
        }
        if (setuid(0) == 0) wrong += "root again; ";
        std::ifstream status("/proc/self/status");
        for (std::string line; std::getline(status, line);) {
          if (line.starts_with("CapEff:") &&
              line.find_first_not_of("CapEff: \t0") != std::string::npos) {
            wrong += line + "; ";
          }
        }
        if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0) wrong += "dumpable; ";
        rlimit core = {1, 1};
        getrlimit(RLIMIT_CORE, &core);
        if (core.rlim_max != 0) wrong += "core dumps; ";
        return wrong;
      }),
      "");
}

TEST_F(WallsTest, RenewedKeysOfRootAloneAreRead) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
  EXPECT_EQ(Behind([&] {
              std::string wrong;
              if (open(key_.c_str(), O_RDONLY) >= 0)
                wrong += "read by ourselves; ";
              const int fd = OpenFile(key_, FileUse::kRead);
              if (fd < 0) return wrong + strerror(errno);
              if (ReadAll(fd) != "secret") wrong += "not what is in it; ";
              struct stat facts = {};
              if (StatFile(key_, facts) != 0) wrong += "stat; ";
              const int log = OpenFile(key_ + ".log", FileUse::kAppend);
              if (log < 0 || write(log, "x", 1) != 1) wrong += "log; ";
              if (OpenFile(key_, FileUse::kAppend) >= 0)
                wrong += "key writable; ";
              if (OpenFile("/etc/shadow", FileUse::kRead) >= 0)
                wrong += "shadow; ";
              return wrong;
            }),
            "");
}

TEST_F(WallsTest, FilesThatTheSettingsNameLaterAreReadToo) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
  const std::string later = folder_.Write("later.pem", "newer secret");
  int ready[2];
  ASSERT_EQ(pipe2(ready, O_CLOEXEC), 0);
  int go[2];
  ASSERT_EQ(pipe2(go, O_CLOEXEC), 0);
  std::thread administrator([&] {
    char octet = 0;
    ASSERT_EQ(read(ready[0], &octet, 1), 1);
    folder_.Write("tlspost.toml", Toml(later));
    ASSERT_EQ(write(go[1], "x", 1), 1);
  });
  EXPECT_EQ(Behind([&] {
              std::string wrong;
              if (OpenFile(later, FileUse::kRead) >= 0) wrong += "too early; ";
              char octet = 'x';
              if (write(ready[1], &octet, 1) != 1) wrong += "pipe; ";
              if (read(go[0], &octet, 1) != 1) wrong += "pipe; ";
              const int fd = OpenFile(later, FileUse::kRead);
              if (fd < 0) return wrong + strerror(errno);
              if (ReadAll(fd) != "newer secret") wrong += "what is in it; ";
              if (OpenFile(key_, FileUse::kRead) >= 0) wrong += "old key; ";
              // The log changes with a restart, and until then is reopened.
              if (OpenFile(key_ + ".log", FileUse::kAppend) < 0) {
                wrong += "log; ";
              }
              if (OpenFile(later + ".log", FileUse::kAppend) >= 0) {
                wrong += "new log; ";
              }
              return wrong;
            }),
            "");
  administrator.join();
}

TEST_F(WallsTest, TheSettingsFileThatTheEnvironmentNamesIsReadAgain) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
  args_.clear();
  setenv("TLSPOST_CONFIG", config_.c_str(), /*overwrite=*/1);
  const std::string wrong = Behind([&] {
    const absl::StatusOr<Settings> again = LoadSettings(args_);
    return std::string(MessageOf(again.status()));
  });
  unsetenv("TLSPOST_CONFIG");
  EXPECT_EQ(wrong, "");
}

TEST_F(WallsTest, AUserThatIsNotThereIsAnError) {
  Settings settings;
  settings.user = "no-such-user-here";
  const auto identity = FindIdentity(settings);
  ASSERT_FALSE(identity.ok());
  EXPECT_THAT(std::string(MessageOf(identity.status())),
              HasSubstr("user: there is no user no-such-user-here"));
}

}  // namespace
}  // namespace tlspost
