// The list of system calls, and the BPF program made of it.

#include "proxy/walls/syscall_filter.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tlspost {
namespace {

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
constexpr uint32_t kArchitecture = 0;
#endif

// Numbers from here on are x32's, an architecture in disguise.
constexpr uint32_t kX32 = 0x40000000;

// Allowed whatever the arguments. Calls that only the older architectures have
// are in #ifdef.
constexpr uint32_t kAllowed[] = {
    // the rings, sockets and waiting
    __NR_io_uring_enter,
    __NR_io_uring_register,
    __NR_epoll_create1,
    __NR_epoll_ctl,
    __NR_epoll_pwait,
    __NR_epoll_pwait2,
    __NR_ppoll,
    __NR_pselect6,
    __NR_eventfd2,
    __NR_timerfd_create,
    __NR_timerfd_settime,
    __NR_bind,
    __NR_listen,
    __NR_accept,
    __NR_accept4,
    __NR_connect,
    __NR_getsockname,
    __NR_getpeername,
    __NR_setsockopt,
    __NR_getsockopt,
    __NR_sendto,
    __NR_recvfrom,
    __NR_sendmsg,
    __NR_recvmsg,
    __NR_sendmmsg,
    __NR_recvmmsg,
    __NR_shutdown,
    // files; which ones is for Landlock to say
    __NR_read,
    __NR_write,
    __NR_readv,
    __NR_writev,
    __NR_pread64,
    __NR_pwrite64,
    __NR_preadv,
    __NR_pwritev,
    __NR_close,
    __NR_close_range,
    __NR_fstat,
    __NR_newfstatat,
    __NR_statx,
    __NR_statfs,
    __NR_fstatfs,
    __NR_lseek,
    __NR_openat,
    __NR_readlinkat,
    __NR_faccessat,
    __NR_faccessat2,
    __NR_fcntl,
    __NR_dup,
    __NR_dup3,
    __NR_pipe2,
    __NR_getdents64,
    __NR_getcwd,
    __NR_fsync,
    __NR_fdatasync,
    __NR_flock,
    __NR_unlinkat,
    __NR_fchmod,
    __NR_fchmodat,
    __NR_umask,
    __NR_inotify_init1,
    __NR_inotify_add_watch,
    __NR_inotify_rm_watch,
    // memory and threads
    __NR_munmap,
    __NR_mremap,
    __NR_madvise,
    __NR_brk,
    __NR_mincore,
    __NR_mlock,
    __NR_munlock,
    __NR_membarrier,
    __NR_futex,
    __NR_set_robust_list,
    __NR_get_robust_list,
    __NR_rseq,
    __NR_set_tid_address,
    __NR_sched_yield,
    __NR_sched_getaffinity,
    __NR_sched_setaffinity,
    __NR_getcpu,
    __NR_exit,
    __NR_exit_group,
    // signals
    __NR_rt_sigaction,
    __NR_rt_sigprocmask,
    __NR_rt_sigreturn,
    __NR_rt_sigtimedwait,
    __NR_rt_sigpending,
    __NR_rt_sigsuspend,
    __NR_sigaltstack,
    __NR_restart_syscall,
    // time, chance, and what the process is
    __NR_clock_gettime,
    __NR_clock_getres,
    __NR_clock_nanosleep,
    __NR_nanosleep,
    __NR_gettimeofday,
    __NR_times,
    __NR_getrandom,
    __NR_getpid,
    __NR_getppid,
    __NR_gettid,
    __NR_getuid,
    __NR_geteuid,
    __NR_getgid,
    __NR_getegid,
    __NR_getgroups,
    __NR_getresuid,
    __NR_getresgid,
    __NR_getrusage,
    __NR_sysinfo,
    __NR_uname,
    // the end of the process that opens files
    __NR_wait4,
#if defined(__x86_64__)
    __NR_open,
    __NR_stat,
    __NR_lstat,
    __NR_access,
    __NR_readlink,
    __NR_dup2,
    __NR_pipe,
    __NR_getdents,
    __NR_unlink,
    __NR_chmod,
    __NR_poll,
    __NR_select,
    __NR_epoll_create,
    __NR_epoll_wait,
    __NR_time,
    __NR_getrlimit,
#endif
};

enum class Test { kEquals, kHasAll, kHasNone };

constexpr uint32_t kAllow = SECCOMP_RET_ALLOW;
constexpr uint32_t kRefuse = SECCOMP_RET_ERRNO | ENOSYS;

// Answered so if the low half of an argument passes. Of several for one call
// the first that passes decides.
struct ArgumentRule {
  uint32_t number;
  uint32_t argument;
  Test test;
  uint32_t value;
  uint32_t answer = kAllow;
};
constexpr ArgumentRule kWithArgument[] = {
    // Threads, and no process.
    {__NR_clone, 0, Test::kHasAll, CLONE_THREAD | CLONE_VM},
    // Whatever is to be run was there before.
    {__NR_mprotect, 2, Test::kHasNone, PROT_EXEC},
    {__NR_mmap, 2, Test::kHasNone, PROT_EXEC},
    // Shared pages may be writable elsewhere, be it by a mremap of them.
    {__NR_mmap, 3, Test::kHasAll, MAP_SHARED, kRefuse},
    {__NR_mmap, 2, Test::kHasNone, PROT_WRITE},
    {__NR_socket, 0, Test::kEquals, AF_INET},
    {__NR_socket, 0, Test::kEquals, AF_INET6},
    {__NR_socket, 0, Test::kEquals, AF_UNIX},
    {__NR_socket, 0, Test::kEquals, AF_NETLINK},  // getifaddrs
    {__NR_socketpair, 0, Test::kEquals, AF_UNIX},
    // A terminal that the log goes to is asked what it is, and never told.
    {__NR_ioctl, 1, Test::kEquals, TCGETS},
    {__NR_ioctl, 1, Test::kEquals, FIONBIO},
    {__NR_ioctl, 1, Test::kEquals, FIONREAD},
    // The zone of a link-local address, at each look-up (if_nametoindex).
    {__NR_ioctl, 1, Test::kEquals, SIOCGIFINDEX},
    {__NR_prctl, 0, Test::kEquals, PR_SET_NAME},
    {__NR_prctl, 0, Test::kEquals, PR_GET_DUMPABLE},
    // Our own limits (0 is this process).
    {__NR_prlimit64, 0, Test::kEquals, 0},
};

class Program {
 public:
  Program() {
    Load(offsetof(seccomp_data, arch));
    Add(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0);
    Return(SECCOMP_RET_KILL_PROCESS);
    Load(offsetof(seccomp_data, nr));
    Add(BPF_JMP | BPF_JGE | BPF_K, kX32, 0, 1);
    Return(kRefuse);
    for (const uint32_t number : kAllowed) {
      Add(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1);
      Return(kAllow);
    }
    for (const ArgumentRule& rule : kWithArgument) AddRule(rule);
    // abort(3) and pthread_kill(3) signal our own threads.
    AddRule({__NR_tgkill, 0, Test::kEquals, static_cast<uint32_t>(getpid())});
    Return(kRefuse);
  }

  bool Install() {
    const sock_fprog program = {static_cast<unsigned short>(code_.size()),
                                code_.data()};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                   SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
  }

 private:
  void AddRule(const ArgumentRule& rule) {
    // Little-endian: the low half comes first.
    const uint32_t place =
        offsetof(seccomp_data, args) + rule.argument * sizeof(uint64_t);
    const bool masked = rule.test != Test::kEquals;
    const uint32_t wanted = rule.test == Test::kHasNone ? 0 : rule.value;
    Add(BPF_JMP | BPF_JEQ | BPF_K, rule.number, 0, masked ? 5 : 4);
    Load(place);
    if (masked) Add(BPF_ALU | BPF_AND | BPF_K, rule.value, 0, 0);
    Add(BPF_JMP | BPF_JEQ | BPF_K, wanted, 0, 1);
    Return(rule.answer);
    Load(offsetof(seccomp_data, nr));
  }

  void Load(size_t offset) {
    Add(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset), 0, 0);
  }
  void Return(uint32_t answer) { Add(BPF_RET | BPF_K, answer, 0, 0); }
  void Add(int code, uint32_t operand, uint8_t if_true, uint8_t if_false) {
    code_.push_back({static_cast<uint16_t>(code), if_true, if_false, operand});
  }

  std::vector<sock_filter> code_;
};

}  // namespace

bool FilterSyscalls() {
  if constexpr (kArchitecture == 0) return false;
  Program program;
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  return program.Install();
}

}  // namespace tlspost
