"""Processor time and memory of one server and all its processes.

By a control group of its own, version 2, where one can be made (its cpu.stat
counts without any controller); else by /proc, over the processes that the
server has: `how` says which.
"""

import contextlib
import os
import re

_TICKS = os.sysconf("SC_CLK_TCK")


def _version_2_root():
    """The mount point of the version 2 hierarchy; None: there is none."""
    with open("/proc/mounts", encoding="ascii") as file:
        for line in file:
            _, place, kind = line.split()[:3]
            if kind == "cgroup2" and os.access(place, os.W_OK):
                return place
    return None


def _children():
    """{pid: [child pids]} of all processes."""
    children = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, IndexError):
            with open("/proc/%s/stat" % name, encoding="latin-1") as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(name))
    return children


class Account:
    """What one server uses. enter() in its process, before it is started."""

    def __init__(self, name):
        self.how = "/proc"
        self._group = None
        self._pid = None
        root = _version_2_root()
        if root is None:
            return
        group = os.path.join(root, "tlspost-bench-%d-%s" % (os.getpid(), name))
        with contextlib.suppress(OSError):
            os.mkdir(group)
            if os.path.exists(os.path.join(group, "cpu.stat")):
                self._group = group
                self.how = "a control group"
            else:
                os.rmdir(group)

    def enter(self):
        """For preexec_fn: this process and its children are counted."""
        if self._group is not None:
            path = os.path.join(self._group, "cgroup.procs")
            with open(path, "w", encoding="ascii") as file:
                file.write(str(os.getpid()))

    def started(self, pid):
        self._pid = pid

    def processes(self):
        if self._group is not None:
            path = os.path.join(self._group, "cgroup.procs")
            with open(path, encoding="ascii") as file:
                return [int(line) for line in file]
        children, found = _children(), [self._pid]
        for pid in found:
            found += children.get(pid, [])
        return found

    def processor_us(self):
        """Microseconds of processor time so far, user and kernel."""
        if self._group is not None:
            path = os.path.join(self._group, "cpu.stat")
            with open(path, encoding="ascii") as file:
                return int(re.search(r"usage_usec (\d+)", file.read()).group(1))
        ticks = 0
        for pid in self.processes():
            with contextlib.suppress(OSError):
                with open("/proc/%d/stat" % pid, encoding="latin-1") as file:
                    fields = file.read().rpartition(")")[2].split()
                # Own time, and that of children that have ended.
                ticks += sum(int(field) for field in fields[11:15])
        return ticks * 1000000 // _TICKS

    def memory_bytes(self):
        """Sum of the processes' proportional set sizes."""
        total = 0
        for pid in self.processes():
            with contextlib.suppress(OSError):
                with open("/proc/%d/smaps_rollup" % pid, encoding="ascii") as f:
                    total += int(re.search(r"Pss:\s+(\d+)", f.read()).group(1))
        return total * 1024

    def descriptors(self):
        """Open descriptors of all the processes."""
        total = 0
        for pid in self.processes():
            with contextlib.suppress(OSError):
                total += len(os.listdir("/proc/%d/fd" % pid))
        return total

    def close(self):
        """The processes have ended."""
        if self._group is not None:
            with contextlib.suppress(OSError):
                os.rmdir(self._group)
