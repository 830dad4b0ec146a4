"""Runs the tlspost binary under test and watches how it ends."""

import functools
import mmap
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

import util

# Set by tests/e2e/run.
binary = None

_SANITIZER = re.compile(
    r"ERROR: \w+Sanitizer|WARNING: \w+Sanitizer|runtime error:"
)
HOSTNAME = "mx.test"


@functools.lru_cache(maxsize=None)
def _is_sanitized(path):
    with open(path, "rb") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as octets:
            return octets.find(b"__asan_init") >= 0


def _served(arguments, is_service=False):
    """The arguments, without a sandbox where a sanitizer cannot do with one.

    It looks for leaks at the end of the process, by means that are walled off.
    """
    first = arguments[0] if arguments else "serve"
    serves = first == "serve" or first.startswith("--") or is_service
    if not serves or _named_sandbox(arguments) or not _is_sanitized(binary):
        return list(arguments)
    return list(arguments) + ["--sandbox=no"]


def _named_sandbox(arguments):
    return any(each.startswith("--sandbox=") for each in arguments)


def environment(arguments=()):
    """The test's environment with strict sanitizers."""
    # What builds and tests are told by would be settings of the proxy.
    settings = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("TLSPOST_")
    }
    # A small quarantine: pages that are touched once and never again cost more
    # than what they find in a process that lives for a second.
    settings["ASAN_OPTIONS"] = (
        "detect_stack_use_after_return=1:exitcode=86:quarantine_size_mb=16"
    )
    if _named_sandbox(arguments):
        settings["ASAN_OPTIONS"] += ":detect_leaks=0"
    settings[
        "UBSAN_OPTIONS"
    ] = "print_stacktrace=1:halt_on_error=1:exitcode=86"
    return settings


def dies_with_us():
    """Command prefix that ends the child should this process be killed."""
    if shutil.which("setpriv") is None:
        return []
    return ["setpriv", "--pdeathsig", "KILL"]


def run(
    *arguments, timeout=30, preexec_fn=None, variables=None, program=None
):
    """Runs `tlspost arguments...` to its end: a CompletedProcess.

    variables are added to its environment; program is another place of the
    binary.
    """
    result = subprocess.run(
        dies_with_us() + [program or binary] + _served(arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**environment(arguments), **(variables or {})},
        timeout=timeout,
        preexec_fn=preexec_fn,
    )
    result.stdout = result.stdout.decode("utf-8", "backslashreplace")
    result.stderr = result.stderr.decode("utf-8", "backslashreplace")
    report = _SANITIZER.search(result.stdout + result.stderr)
    assert not report, "sanitizer report:\n" + util.tail(result.stderr, 60)
    return result


def options(values):
    """{"workers": 2} -> ["--workers=2"]; lists repeat; None leaves it out."""
    result = []
    for name, value in values.items():
        for each in value if isinstance(value, list) else [value]:
            if each is not None:
                result.append("--%s=%s" % (name, each))
    return result


def settings_for(port, backend, certificates, **changes):
    """Settings for a proxy on 127.0.0.1:port; None leaves one out."""
    settings = {
        "listen": "127.0.0.1:%d" % port,
        "backend": backend,
        "hostname": HOSTNAME,
        "tls_cert_file": certificates.path("rsa.chain.pem"),
        "tls_key_file": certificates.path("rsa.key"),
        "tls_loglevel": 1,
        "workers": 2,
        # What DNS says of loopback addresses is each machine's own.
        "peername_lookup": "no",
    }
    settings.update(changes)
    return settings


def _activated(sockets):
    """Command prefix that passes a socket on (sd_listen_fds(3))."""
    if not sockets:
        return []
    script = (
        'exec 3<&%d; export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@"'
        % sockets[0]
    )
    return ["bash", "-c", script, "bash"]


class Proxy:
    """A running tlspost on 127.0.0.1:port; stop() checks how it ends.

    preexec_fn is called in its process before it is; program is another place
    of the binary; activation is a listening socket that it gets as systemd passes one.
    """

    def __init__(
        self, port, arguments, preexec_fn=None, program=None, activation=None
    ):
        self.port = port
        self.command = [program or binary] + _served(arguments, is_service=True)
        passed = () if activation is None else (activation.fileno(),)
        with tempfile.NamedTemporaryFile(
            prefix="tlspost-e2e-", suffix=".log", delete=False
        ) as log:
            self.log_path = log.name
            self.process = subprocess.Popen(
                dies_with_us() + _activated(passed) + self.command,
                pass_fds=passed,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment(arguments),
                preexec_fn=preexec_fn,
            )
        try:
            util.wait_until(
                self._greets,
                60,
                lambda: "220 from tlspost\n" + util.tail(self.log()),
            )
        except BaseException:
            self.kill()
            raise

    def _greets(self):
        if self.process.poll() is not None:
            raise AssertionError(
                "tlspost ended with status %s\n%s"
                % (self.process.returncode, util.tail(self.log()))
            )
        try:
            with socket.create_connection(
                ("127.0.0.1", self.port), timeout=5
            ) as peer:
                greeting = peer.recv(100)
                peer.sendall(b"QUIT\r\n")
                peer.recv(100)
                return greeting.startswith(b"220 ")
        except OSError:
            return False

    def log(self):
        return util.read_text(self.log_path)

    def wait_for_log(self, pattern, timeout=20):
        """The match of pattern in the log, which a busy machine has later."""
        return util.wait_until(
            lambda: re.search(pattern, self.log(), re.MULTILINE),
            timeout,
            lambda: "/%s/ in the log of tlspost:\n%s"
            % (pattern, util.tail(self.log())),
        )

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self, timeout):
        """The exit status; the process must end by itself within timeout."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                "tlspost runs %g s after it was told to end\n%s"
                % (timeout, util.tail(self.log()))
            ) from None

    def stop(self, timeout=20):
        """SIGTERM; must end with status 0, without a sanitizer report."""
        if self.process.poll() is None:
            self.terminate()
        try:
            status = self.wait(timeout)
        except AssertionError:
            self.kill()
            raise
        self.check_sanitizers()
        assert status == 0, "tlspost ended with status %s\n%s" % (
            status,
            util.tail(self.log()),
        )

    def check_sanitizers(self):
        text = self.log()
        report = _SANITIZER.search(text)
        assert not report, (
            "sanitizer report:\n" + text[report.start() :][:6000]
        )

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    def forget(self):
        """Removes the log."""
        self.kill()
        if os.path.exists(self.log_path):
            os.unlink(self.log_path)


_OPEN_STATES = {"01", "02"}  # ESTABLISHED, SYN_SENT


def backend_sockets(port):
    """Local ports of open loopback connections towards that port."""
    wanted = ":%04X" % port
    result = []
    with open("/proc/net/tcp", encoding="ascii") as file:
        next(file)
        for line in file:
            _, local, remote, state = line.split()[:4]
            if remote.endswith(wanted) and state in _OPEN_STATES:
                result.append(int(local.split(":")[1], 16))
    return result


class BackendCounter:
    """Samples how many connections are open at a time towards a backend port.

    /proc/net/tcp is no snapshot: a connection that is closed while it is read,
    and its successor, are both in it. What is in two samples in a row, though,
    was open in between, all at once.
    """

    def __init__(self, port):
        self.port = port
        self.most = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def _sample(self):
        before = set()
        while not self._stop.wait(0.005):
            now = set(backend_sockets(self.port))
            self.most = max(self.most, len(before & now))
            before = now

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(5)
