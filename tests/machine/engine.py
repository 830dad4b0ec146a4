"""Images built and containers run with buildah and podman, without a registry.

The base image is a system of debian_root. Containers run in a World: private
mount, network and process namespaces, in which nothing is reachable from
outside and of which nothing is left behind.
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

import debian_root
from debian_root import REPOSITORY, Failed, checked

BASE = "docker.io/library/debian:trixie-slim"
_BUILD_SECONDS = 7200
# Podman's own limits are above what this process may give.
_PROCESSES = 4096
_STORE = os.path.join(debian_root.CACHE, "store")
_BUILDER = ["--storage-driver", "overlay", "--root", _STORE]

_SETUP = """
set -e
ip link set lo up
mount -t tmpfs tmpfs /run
mkdir -p /run/lock /run/netns
umount -l /sys/fs/cgroup/unified 2>/dev/null || true
exec sleep infinity
"""


def need():
    return debian_root.need(
        "buildah", "podman", "runc", "debootstrap", "unshare", "nsenter", "ip"
    )


def build(name, dockerfile, context):
    """The image localhost/NAME of the checkout, by its Dockerfile."""
    if subprocess.run(
        ["podman"] + _BUILDER + ["image", "exists", BASE], check=False
    ).returncode:
        checked(
            ["podman"]
            + _BUILDER
            + ["import", "-q", "--change", 'CMD ["bash"]']
            + [debian_root.base("trixie"), BASE],
            600,
        )
    checked(
        # Neither cgroups nor a network of its own; the docker format, since
        # the other one knows no HEALTHCHECK.
        ["buildah"]
        + _BUILDER
        + ["bud", "--isolation", "chroot", "--network", "host"]
        + ["--format", "docker", "--layers", "--pull-never"]
        + ["-f", os.path.join(REPOSITORY, dockerfile)]
        + ["-t", "localhost/" + name, os.path.join(REPOSITORY, context)],
        _BUILD_SECONDS,
    )
    return "localhost/" + name


class World:
    """Where containers run. Close it."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="world.", dir=debian_root.CACHE)
        self.holder = subprocess.Popen(
            ["unshare", "--mount", "--net", "--pid", "--fork"]
            + ["--kill-child", "--mount-proc", "sh", "-c", _SETUP],
            stdin=subprocess.DEVNULL,
        )
        self.pid = self._inside()
        self.cgroup = "/tlspost-machine-%d" % self.holder.pid

    def _inside(self):
        """The first process inside, once it has become sleep."""
        path = "/proc/%d/task/%d/children" % ((self.holder.pid,) * 2)
        for _ in range(500):
            with open(path, encoding="ascii") as file:
                children = file.read().split()
            if children:
                try:
                    with open("/proc/%s/comm" % children[0]) as file:
                        if file.read() == "sleep\n":
                            return int(children[0])
                except FileNotFoundError:
                    break
            if self.holder.poll() is not None:
                break
            time.sleep(0.02)
        raise Failed("no namespaces here: unshare failed")

    def close(self):
        # With its first process all others of the namespace end.
        self.holder.send_signal(signal.SIGKILL)
        self.holder.wait(30)
        for top in ("/sys/fs/cgroup", "/sys/fs/cgroup/*"):
            subprocess.run(
                "find %s -maxdepth 6 -depth -type d -path '*%s*' "
                "-exec rmdir {} + 2>/dev/null" % (top, self.cgroup),
                shell=True,
                check=False,
            )
        shutil.rmtree(self.folder, ignore_errors=True)

    def command(self, *arguments, network=None):
        """The command line that runs this inside, in a network made there."""
        enter = ["nsenter", "-t", str(self.pid), "-m", "-n", "-p", "--"]
        if network:
            enter += ["ip", "netns", "exec", network]
        return enter + list(arguments)

    def run(self, *arguments, timeout=120, network=None):
        """Runs it to its end; its output."""
        return checked(self.command(*arguments, network=network), timeout)

    def podman(self, *arguments, timeout=120):
        return checked(self.podman_command(*arguments), timeout)

    def podman_command(self, *arguments):
        return self.command(
            "podman",
            *_BUILDER,
            "--runtime",
            "runc",
            "--cgroup-manager",
            "cgroupfs",
            "--events-backend",
            "file",
            *arguments
        )

    def container_command(self, image, name, options=(), arguments=()):
        """Of a container without rights, on a read-only root."""
        limit = os.sysconf("SC_OPEN_MAX")
        chosen = " ".join(options)
        defaults = []
        if "--network" not in chosen:
            defaults += ["--network", "host"]
        if "nofile" not in chosen:
            defaults += ["--ulimit", "nofile=%d:%d" % (limit, limit)]
        return self.podman_command(
            "run",
            "--name",
            name,
            "--cgroup-parent",
            self.cgroup,
            "--ulimit",
            "nproc=%d:%d" % (_PROCESSES, _PROCESSES),
            *defaults,
            *options,
            image,
            *arguments
        )

    def start(self, image, name, options=(), arguments=()):
        """A container in the background."""
        options = ["-d", *options]
        checked(self.container_command(image, name, options, arguments), 120)

    def logs(self, name):
        return self.podman("logs", name)

    def inspect(self, name):
        return json.loads(self.podman("inspect", name))[0]

    def remove(self, *names):
        subprocess.run(
            self.podman_command("rm", "-f", "-t", "0", "-i", *names),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=120,
            check=False,
        )

    def profile(self, error):
        """A seccomp profile under which io_uring fails with this errno."""
        path = os.path.join(self.folder, "refuse-%d.json" % error)
        rule = {
            "names": ["io_uring_setup", "io_uring_enter", "io_uring_register"],
            "action": "SCMP_ACT_ERRNO",
            "errnoRet": error,
        }
        with open(path, "w", encoding="utf-8") as file:
            json.dump(
                {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}, file
            )
        return path
