"""Minimal Debian systems to build, install and start things in.

Made by debootstrap from where this machine's apt gets its packages, kept as a
tar under build/machine, and unpacked for each use. Commands run inside in
namespaces of their own, so that no mount and no process is left behind.
"""

import os
import shutil
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
CACHE = os.path.join(REPOSITORY, "build", "machine")

_BASE_DAYS = 14  # a base that is older is made anew
_APT_SETTINGS = ("Acquire::http", "Acquire::Check-", "Acquire::Retries")


class Failed(AssertionError):
    """A command has failed; the text has the end of what it said."""


def need(*programs, root=True):
    """Why this machine cannot do it; None when it can."""
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        return "needs %s; run scripts/deps machine" % ", ".join(missing)
    if root and os.geteuid() != 0:
        return "needs root"
    return None


def checked(command, timeout, **how):
    """Its output; Failed with the end of it when it fails."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout,
        check=False,
        **how
    )
    text = done.stdout.decode("utf-8", "backslashreplace")
    if done.returncode:
        raise Failed(
            "status %d: %s\n%s"
            % (
                done.returncode,
                " ".join(command)[:300],
                "\n".join(text.splitlines()[-40:]),
            )
        )
    return text


def _sources_of(release):
    """Where apt gets `release` here, as (URI, is there); by its settings."""
    lines = checked(
        [
            "apt-get",
            "indextargets",
            "--format",
            "$(RELEASE) $(REPO_URI)",
            "Created-By: Packages",
        ],
        60,
    )
    for line in lines.splitlines():
        name, _, uri = line.partition(" ")
        if name == release:
            return uri
    return None


def _own_release():
    with open("/etc/os-release", encoding="utf-8") as file:
        for line in file:
            if line.startswith("VERSION_CODENAME="):
                return line.partition("=")[2].strip().strip('"')
    raise Failed("/etc/os-release names no release")


def _write_apt_settings(root, suite, uri, security):
    folder = os.path.join(root, "etc", "apt")
    sources = "deb %s %s main\ndeb %s %s-updates main\n" % (
        uri,
        suite,
        uri,
        suite,
    )
    if security:
        sources += "deb %s %s-security main\n" % (security, suite)
    for name in os.listdir(os.path.join(folder, "sources.list.d")):
        os.unlink(os.path.join(folder, "sources.list.d", name))
    with open(os.path.join(folder, "sources.list"), "w") as file:
        file.write(sources)
    settings = checked(["apt-config", "dump"], 60)
    with open(os.path.join(folder, "apt.conf.d", "90machine"), "w") as file:
        for line in settings.splitlines():
            if line.startswith(_APT_SETTINGS):
                file.write(line + "\n")
    # No service starts by being installed.
    policy = os.path.join(root, "usr", "sbin", "policy-rc.d")
    with open(policy, "w") as file:
        file.write("#!/bin/sh\nexit 101\n")
    os.chmod(policy, 0o755)


def base(suite):
    """The tar of a minimal system; made when there is none yet."""
    os.makedirs(CACHE, exist_ok=True)
    tar = os.path.join(CACHE, "base-%s.tar" % suite)
    if (
        os.path.exists(tar)
        and time.time() - os.path.getmtime(tar) < _BASE_DAYS * 86400
    ):
        return tar
    own = _own_release()
    uri = _sources_of(own)
    if uri is None:
        raise Failed("apt here knows no package source for " + own)
    root = tempfile.mkdtemp(prefix="base.", dir=CACHE)
    try:
        checked(
            ["debootstrap", "--variant=minbase", suite, root, uri], 1800
        )
        _write_apt_settings(root, suite, uri, _sources_of(own + "-security"))
        os.chmod(root, 0o755)
        checked(
            ["tar", "-C", root, "--numeric-owner"]
            + ["--exclude=./%s/*" % name for name in ("dev", "proc", "sys")]
            + ["--exclude=./var/lib/apt/lists/*"]
            + ["--exclude=./var/cache/apt/archives/*.deb"]
            + ["-cf", tar + ".new", "."],
            600,
        )
        os.rename(tar + ".new", tar)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return tar


_INSIDE = """
set -e
root=$1 lo=$2; shift 2
[ -z "$lo" ] || ip link set lo up
mount --rbind /dev "$root/dev"
mount --bind "$root/.archives" "$root/var/cache/apt/archives"
mount --bind "$root/.ccache" "$root/var/cache/ccache"
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \\
    DEBIAN_FRONTEND=noninteractive CCACHE_DIR=/var/cache/ccache "$@"
"""


class Root:
    """A system of its own, thrown away at the end of a with statement."""

    def __init__(self, suite):
        self.suite = suite
        self.path = tempfile.mkdtemp(prefix=suite + ".", dir=_cache_folder())
        checked(
            ["tar", "-C", self.path, "--numeric-owner", "-xf", base(suite)],
            600,
        )
        os.chmod(self.path, 0o755)
        for name in ("resolv.conf", "hosts"):
            shutil.copy("/etc/" + name, os.path.join(self.path, "etc", name))
        # What is downloaded and compiled stays for the next run.
        os.makedirs(os.path.join(self.path, "var", "cache", "ccache"))
        for name, kept in (("archives", "apt-" + suite), ("ccache", "ccache")):
            kept = os.path.join(CACHE, kept)
            os.makedirs(os.path.join(kept, "partial"), exist_ok=True)
            os.symlink(kept, os.path.join(self.path, "." + name))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)

    def file(self, *parts):
        return os.path.join(self.path, *[part.lstrip("/") for part in parts])

    def run(self, script, timeout=600, network=True):
        """Runs a shell script inside; its output. It stops at an error.

        network: this machine's; otherwise a private one with lo alone.
        """
        return checked(
            ["unshare", "--mount", "--pid", "--ipc", "--uts", "--fork"]
            + ["--kill-child", "--mount-proc=" + self.file("proc")]
            + ([] if network else ["--net"])
            + ["sh", "-c", _INSIDE, "sh", self.path, "" if network else "lo"]
            + ["chroot", self.path, "sh", "-euc", script],
            timeout,
        )

    def install(self, *packages):
        self.run(
            "apt-get update -q && apt-get install -q -y "
            "--no-install-recommends " + " ".join(packages),
            timeout=1800,
        )

    def take_sources(self, folder):
        """The checkout as it is, without what git ignores, into `folder`."""
        target = self.file(folder)
        os.makedirs(target)
        names = subprocess.run(
            ["git", "-C", REPOSITORY, "ls-files", "-coz"]
            + ["--exclude-standard"],
            check=True,
            stdout=subprocess.PIPE,
        ).stdout.split(b"\0")
        there = [
            name
            for name in names
            if name and os.path.lexists(os.path.join(REPOSITORY.encode(), name))
        ]
        packed = subprocess.run(
            ["tar", "-C", REPOSITORY, "--null", "-T", "-", "-cf", "-"],
            input=b"\0".join(there),
            check=True,
            stdout=subprocess.PIPE,
        ).stdout
        subprocess.run(
            ["tar", "-C", target, "--no-same-owner", "-xf", "-"],
            input=packed,
            check=True,
        )


def _cache_folder():
    os.makedirs(CACHE, exist_ok=True)
    return CACHE
