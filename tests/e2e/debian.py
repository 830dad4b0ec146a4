"""Debian packages used without installing them.

A package and the libraries that the machine lacks are downloaded and unpacked
under build/e2e-packages/, where they stay for the next run. Nothing of the
machine changes: no dpkg database, no /etc, no services; if apt's package lists
are missing, private ones are fetched.
"""

import contextlib
import fcntl
import glob
import os
import platform
import re
import shutil
import stat
import subprocess

import util

_CACHE = os.path.join(util.REPOSITORY, "build", "e2e-packages")


class Tree:
    """An unpacked package."""

    def __init__(self, root):
        self.root = root

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def library_folders(self):
        """For LD_LIBRARY_PATH."""
        return sorted(
            {
                os.path.dirname(path)
                for pattern in (
                    "usr/lib/*/lib*.so.*",
                    "lib/*/lib*.so.*",
                    "usr/lib/*/lib*.so",
                    "usr/lib/lib*.so.*",
                    "usr/lib/*/pulseaudio/lib*.so",
                )
                for path in glob.glob(self.path(pattern))
            }
            | {
                os.path.dirname(path)
                for path in glob.glob(self.path("usr/lib/postfix/lib*.so"))
            }
        )

    def environment(self):
        """PATH, LD_LIBRARY_PATH and PERL5LIB for the programs in it."""
        settings = {
            "PATH": self.path("usr/bin") + ":/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C",
            "LD_LIBRARY_PATH": ":".join(self.library_folders()),
            "PERL5LIB": ":".join(
                glob.glob(self.path("usr/share/perl5"))
                + glob.glob(self.path("usr/lib/*/perl5/*"))
            ),
        }
        return {name: value for name, value in settings.items() if value}


def _apt(folder, private_lists, *arguments):
    """Runs apt-get; private_lists leaves the machine's state alone."""
    command = ["apt-get", "-q", "-o", "Acquire::Languages=none"]
    if os.geteuid() == 0:
        command += ["-o", "APT::Sandbox::User=root"]
    if private_lists:
        lists = os.path.join(folder, "apt-lists")
        cache = os.path.join(folder, "apt-cache")
        os.makedirs(os.path.join(lists, "partial"), exist_ok=True)
        os.makedirs(os.path.join(cache, "archives", "partial"), exist_ok=True)
        command += [
            "-o",
            "Dir::State::lists=" + lists,
            "-o",
            "Dir::Cache=" + cache,
            "-o",
            "Dir::Cache::pkgcache=",
            "-o",
            "Dir::Cache::srcpkgcache=",
        ]
    try:
        return subprocess.run(
            command + list(arguments),
            cwd=folder,
            text=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=300,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise util.Skip(
            "apt-get %s took longer than 300 s" % " ".join(arguments)
        ) from error


def _download(package, folder):
    """Path of the package's .deb in folder."""

    def present():
        return glob.glob(os.path.join(folder, package + "_*.deb"))

    if present():
        return present()[0]
    errors = _apt(folder, False, "download", package).stderr
    if not present():
        if not os.path.isdir(os.path.join(folder, "apt-lists")):
            print(
                "    fetching package lists into build/e2e-packages, as the"
                " machine's own do not help",
                flush=True,
            )
            errors += _apt(folder, True, "update").stderr
        errors += _apt(folder, True, "download", package).stderr
    if not present():
        _forget_lists(folder)
        raise util.Skip(
            "apt-get download %s failed: %s"
            % (package, " / ".join(errors.strip().split("\n")))
        )
    return present()[0]


def _forget_lists(folder):
    """The private lists are large and soon out of date."""
    for name in ("apt-lists", "apt-cache"):
        shutil.rmtree(os.path.join(folder, name), ignore_errors=True)


def _library_dependencies(deb):
    """Names of the lib* packages that a .deb depends on."""
    depends = subprocess.run(
        ["dpkg-deb", "-f", deb, "Depends"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout
    names = [
        clause.split("|")[0].split("(")[0].strip().split(":")[0]
        for clause in depends.split(",")
    ]
    return [
        name for name in names if name.startswith("lib") and name != "libc6"
    ]


def _is_installed(package):
    result = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Abbrev}", package],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return result.stdout.startswith("ii")


def _missing_libraries(tree):
    """What ldd does not find for any program or library of the tree."""
    files = [
        path
        for path in glob.glob(tree.path("**"), recursive=True)
        if os.path.isfile(path) and os.access(path, os.X_OK)
    ]
    result = subprocess.run(
        ["ldd"] + files,
        env=tree.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return sorted(set(re.findall(r"(\S+) => not found", result.stdout)))


def _drop_privileges(tree):
    """Programs that lie about in a build are nobody's way to root.

    Nor would they find the tree's libraries: a set-uid program is deaf to
    LD_LIBRARY_PATH.
    """
    for folder, _, names in os.walk(tree.root):
        for name in names:
            path = os.path.join(folder, name)
            mode = os.lstat(path).st_mode
            if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
                os.chmod(path, stat.S_IMODE(mode) & 0o777)


def _give_back(folder):
    """Under sudo the cache still belongs to whom the checkout belongs."""
    owner = os.stat(util.REPOSITORY)
    if os.geteuid() == 0 and owner.st_uid != 0:
        subprocess.run(
            [
                "chown",
                "-R",
                "-h",
                "%d:%d" % (owner.st_uid, owner.st_gid),
                folder,
            ],
            check=False,
            timeout=60,
        )


def unpack(*packages):
    """The Tree with these packages; util.Skip says why there is none."""
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise util.Skip(
            "%s would come from a Debian package, and this machine has no "
            "apt-get and dpkg" % packages[0]
        )
    release = "unknown"
    with contextlib.suppress(OSError):
        release = platform.freedesktop_os_release().get(
            "VERSION_CODENAME", release
        )
    folder = os.path.join(
        _CACHE, "%s-%s" % (release, platform.machine()), packages[0]
    )
    os.makedirs(folder, exist_ok=True)
    tree = Tree(os.path.join(folder, "root"))
    done = os.path.join(folder, "complete")
    with open(os.path.join(folder, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(done):
            return tree
        print(
            "    downloading %s into build/e2e-packages (unpacked beside the"
            " build, not installed)" % packages[0],
            flush=True,
        )
        shutil.rmtree(tree.root, ignore_errors=True)
        waiting, seen = list(packages), set()
        while waiting:
            package = waiting.pop()
            if package in seen:
                continue
            seen.add(package)
            deb = _download(package, folder)
            subprocess.run(
                ["dpkg", "-x", deb, tree.root], check=True, timeout=300
            )
            waiting += [
                name
                for name in _library_dependencies(deb)
                if not _is_installed(name)
            ]
        _drop_privileges(tree)
        missing = _missing_libraries(tree)
        if missing:
            raise util.Skip(
                "the unpacked %s lacks shared libraries: %s"
                % (packages[0], ", ".join(missing))
            )
        with open(done, "w", encoding="ascii") as file:
            file.write("\n".join(sorted(seen)) + "\n")
        _forget_lists(folder)
        _give_back(_CACHE)
    return tree


def program(name, *packages):
    """Path and environment (None: ours) of a program, unpacked if need be.

    It is in the first of the packages, by default in the one of its name.
    """
    path = shutil.which(name)
    if path is not None:
        return path, None
    tree = unpack(*packages or [name])
    return tree.path("usr/bin", name), tree.environment()
