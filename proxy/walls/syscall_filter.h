// A seccomp filter: the system calls that serving takes, and no other.
//
// No program can be started through it, no process made, no privilege changed,
// no memory made executable. Everything else is answered ENOSYS, as by a kernel
// that does not have it, so that a C library newer than this list finds another
// way.

#ifndef TLSPOST_PROXY_WALLS_SYSCALL_FILTER_H_
#define TLSPOST_PROXY_WALLS_SYSCALL_FILTER_H_

namespace tlspost {

// Holds for all threads there are and will be, for ever; sets
// no-new-privileges. False: this kernel or processor has no such filter.
bool FilterSyscalls();

}  // namespace tlspost

#endif  // TLSPOST_PROXY_WALLS_SYSCALL_FILTER_H_
