"""What a comparison runs: a program on loopback ports, the sink, and a
certificate for all of them."""

import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time

import account

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# At the end: report.py is ours.
sys.path.append(os.path.join(ROOT, "tests", "e2e"))
import util  # noqa: E402

BUILD = os.path.join(ROOT, "build", "bench")
_START_SECONDS = 20


def tool(name):
    return os.path.join(BUILD, "bench", name)


def most_connections():
    """How many clients a server of two descriptors per client may have."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1] // 2 - 200


class Certificate:
    """A throw-away certificate, and both of its files in one."""

    def __init__(self, folder, kind):
        self.kind = kind
        self.key = os.path.join(folder, kind + ".key")
        self.cert = os.path.join(folder, kind + ".pem")
        self.both = os.path.join(folder, kind + ".both.pem")
        how = {
            "ecdsa": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
            "rsa": ["rsa:2048"],
        }[kind]
        subprocess.run(
            ["openssl", "req", "-x509", "-nodes", "-days", "2", "-newkey"]
            + how
            + ["-subj", "/CN=mx.example"]
            + ["-keyout", self.key, "-out", self.cert],
            check=True,
            capture_output=True,
            timeout=60,
        )
        os.chmod(self.key, 0o600)
        with open(self.both, "w", encoding="ascii") as file:
            for part in (self.cert, self.key):
                with open(part, encoding="ascii") as source:
                    file.write(source.read())
        os.chmod(self.both, 0o600)


def _accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
        return True
    except OSError:
        return False


class Process:
    """A program on loopback ports; ends with close()."""

    def __init__(self, name, command, port, environment=None, folder=None):
        self.account = account.Account(name)
        self._log = tempfile.TemporaryFile("w+", errors="replace")
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder,
            preexec_fn=self.account.enter,
            # Postfix's master ends its whole process group.
            start_new_session=True,
        )
        self.account.started(self._process.pid)
        deadline = time.monotonic() + _START_SECONDS
        while not _accepts(port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                text = self.log()
                self.close()
                raise RuntimeError("%s does not start:\n%s" % (name, text))
            time.sleep(0.02)

    def log(self):
        self._log.seek(0)
        return util.tail(self._log.read(), 10)

    def close(self):
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
        self._log.close()
        self.account.close()


class Sink(Process):
    """The mail server behind all of them."""

    def __init__(self):
        self.port = util.free_port()
        self.control = util.free_port()
        super().__init__(
            "sink",
            [
                tool("tlspost-sink"),
                "--listen=127.0.0.1:%d" % self.port,
                "--control=127.0.0.1:%d" % self.control,
            ],
            self.port,
        )

    def counts(self):
        """{"connections": ..., "messages": ...} so far."""
        with socket.create_connection(("127.0.0.1", self.control), 10) as peer:
            peer.sendall(b"STATS\n")
            text = b""
            while piece := peer.recv(4096):
                text += piece
        return {
            name: int(number)
            for name, number in (line.split() for line in text.decode().splitlines())
        }
