"""io_uring where it can be used, epoll where it is refused, and what is said.

The refusals are real: a seccomp filter as container runtimes have, and the
limit of locked memory of a user who is nobody else.
"""

import ctypes
import errno
import os
import re
import resource
import shutil
import tempfile
import unittest
import urllib.request

import case
import proxy
import seccomp
import util

_KIB = 1024
_SECCOMP_WORDS = "allow io_uring_setup, io_uring_enter and io_uring_register"


def _somebody(locked_memory):
    """A preexec_fn: a user without other processes, and with that limit."""

    def apply():
        resource.setrlimit(
            resource.RLIMIT_MEMLOCK, (locked_memory, locked_memory)
        )
        user = 1000000 + os.getpid()
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)

    return apply


def _rings_are_charged():
    """Whether this kernel counts a ring as its user's locked memory at all."""
    child = os.fork()
    if child == 0:
        status = 2
        try:
            _somebody(0)()
            parameters = ctypes.create_string_buffer(120)
            ring = ctypes.CDLL(None, use_errno=True).syscall(
                seccomp.IO_URING_SETUP, 4, parameters
            )
            refused = ring < 0 and ctypes.get_errno() == errno.ENOMEM
            status = 0 if refused else 1
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


class IoEngineTest(case.PostfixCase):
    chooses_engine = True

    def assert_serves_over(self, running, engine, workers=2):
        """It says so in its log and its metrics, and delivers."""
        running.wait_for_log(r"ready: %d workers over %s," % (workers, engine))
        with urllib.request.urlopen(
            "http://127.0.0.1:%d/metrics" % self.admin_port, timeout=20
        ) as answer:
            self.assertIn(
                'tlspost_io_engine{engine="%s"} 1\n' % engine,
                answer.read().decode(),
            )
        client = self.tls_session(running)
        self.assert_delivers(client)
        client.quit()

    def start_watched(self, **changes):
        self.admin_port = util.free_port()
        changes.setdefault("io_engine", "auto")
        return self.start_proxy(
            admin_listen="127.0.0.1:%d" % self.admin_port, **changes
        )

    def settings_of_somebody(self, **changes):
        """Settings whose files a stranger can read, and a program he can run."""
        folder = tempfile.TemporaryDirectory(prefix="tlspost-e2e-")
        self.addCleanup(folder.cleanup)
        os.chmod(folder.name, 0o755)
        for name in ("rsa.chain.pem", "rsa.key"):
            path = os.path.join(folder.name, name)
            shutil.copyfile(self.certificates.path(name), path)
            os.chmod(path, 0o644)
            kind = "cert" if "chain" in name else "key"
            changes["tls_%s_file" % kind] = path
        self.program = os.path.join(folder.name, "tlspost")
        shutil.copy(proxy.binary, self.program)
        os.chmod(self.program, 0o755)
        return changes

    def need_charged_rings(self):
        if os.geteuid() != 0:
            raise unittest.SkipTest("only root can become somebody else")
        if not _rings_are_charged():
            raise unittest.SkipTest(
                "this kernel charges rings to no limit of locked memory"
            )

    def start_as_somebody(self, locked_memory, **changes):
        changes = self.settings_of_somebody(**changes)
        self.admin_port = util.free_port()
        port = util.free_port()
        settings = proxy.settings_for(
            port,
            self.postfix.backend("reuse"),
            self.certificates,
            admin_listen="127.0.0.1:%d" % self.admin_port,
            **changes,
        )
        return self.launch(
            proxy.options(settings),
            port,
            preexec_fn=_somebody(locked_memory),
            program=self.program,
        )

    def assert_warns_once(self, running, *words):
        lines = re.findall(r".*io_engine: .*", running.log())
        self.assertEqual(len(lines), 1, running.log())
        self.assertIn("epoll is used instead: io_uring cannot be", lines[0])
        for word in words:
            self.assertIn(word, lines[0])

    def test_io_uring_is_the_best(self):
        running = self.start_watched()
        self.assert_serves_over(running, "io_uring")
        self.assertNotIn("io_engine:", running.log())

    def test_epoll_when_it_is_chosen(self):
        running = self.start_watched(io_engine="epoll")
        self.assert_serves_over(running, "epoll")
        self.assertNotIn("io_engine:", running.log())

    def test_E110_refused_by_a_profile(self):
        """Docker's default profile forbids io_uring, podman's hides it."""
        for error in (errno.EPERM, errno.ENOSYS):
            with self.subTest(errno.errorcode[error]):
                running = self.start_watched(
                    preexec_fn=seccomp.refuse(seccomp.IO_URING_SETUP, error)
                )
                self.assert_serves_over(running, "epoll")
                self.assert_warns_once(
                    running, os.strerror(error), "seccomp", _SECCOMP_WORDS
                )

    def test_the_demo_where_it_is_refused(self):
        result = proxy.run(
            "demo",
            timeout=60,
            preexec_fn=seccomp.refuse(seccomp.IO_URING_SETUP, errno.EPERM),
        )
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertRegex(result.stdout, r"with ESMTPS id \S+")

    def test_refused_for_want_of_locked_memory(self):
        self.need_charged_rings()
        running = self.start_as_somebody(64 * _KIB, io_engine="auto")
        self.assert_serves_over(running, "epoll")
        self.assert_warns_once(
            running,
            "Cannot allocate memory: 3 rings need",  # the administrator's, too
            "the limit for all processes of this user is 64 KiB",
            "--ulimit memlock=-1",
        )

    def test_no_start_for_want_of_locked_memory(self):
        self.need_charged_rings()
        settings = proxy.settings_for(
            util.free_port(),
            "127.0.0.1:1",
            self.certificates,
            io_engine="io_uring",
            **self.settings_of_somebody(),
        )
        result = proxy.run(
            *proxy.options(settings),
            preexec_fn=_somebody(64 * _KIB),
            program=self.program,
        )
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertRegex(
            result.stderr,
            r"(?m)^tlspost: io_engine: io_uring cannot be used: Cannot allocate "
            r"memory: 2 rings need \d+ KiB of locked memory, and the limit .* "
            r"is 64 KiB; raise it .*$",
        )

    def test_sixteen_workers_fit_the_usual_limit(self):
        """8 MiB is what systemd gives, and Debian's shells."""
        self.need_charged_rings()
        running = self.start_as_somebody(
            8192 * _KIB, io_engine="io_uring", workers=16
        )
        self.assert_serves_over(running, "io_uring", workers=16)
