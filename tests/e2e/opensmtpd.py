"""A private OpenSMTPD: a backend that passes all mail on to a Postfix.

Debian's package is downloaded and unpacked beside the build, never installed.
Its users, its queue and its socket have fixed names: it finds them in a mount
namespace, and they lie in one temporary directory.

Ports (`OpenSmtpd.ports`):
  plain   no PROXY header; no PIPELINING either, nor anywhere else
  proxy   each connection must begin with a PROXY header (version 2)

Recipients decide what happens to them: refused* gets 550.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile

import debian
import private
import util

_CONFIG = """\
listen on 127.0.0.1 port {plain} hostname opensmtpd.test
listen on 127.0.0.1 port {proxy} proxy-v2 hostname opensmtpd.test
action "on" relay host smtp://{relay}
match from any for any rcpt-to regex "^refused.*" reject
match from any for any action "on"
"""


class OpenSmtpd:
    """One private instance, which relays to the address `relay`."""

    def __init__(self, relay):
        self._tree = debian.unpack("opensmtpd")
        self.ports = {name: util.free_port() for name in ("plain", "proxy")}
        self.top = tempfile.mkdtemp(prefix="tlspost-e2e-opensmtpd-")
        self._process = None
        try:
            self._configure(relay)
        except BaseException:
            self.close()
            raise

    def _path(self, *parts):
        return os.path.join(self.top, *parts)

    def _configure(self, relay):
        os.chmod(self.top, 0o755)
        for name in ("spool/smtpd", "lib/opensmtpd/empty", "run"):
            os.makedirs(self._path(name), 0o755)
        os.chmod(self._path("spool/smtpd"), 0o711)
        # It asks for the name of each client, and is told at once that there
        # is nobody to ask.
        with open(self._path("resolv"), "w", encoding="ascii") as file:
            file.write("nameserver 127.0.0.1\n")
        with open(self._path("smtpd.conf"), "w", encoding="ascii") as file:
            file.write(_CONFIG.format(relay=relay, **self.ports))
        self._namespace = private.Namespace(
            self.top,
            ["opensmtpd", "opensmtpq"],
            {
                "/var/spool": self._path("spool"),
                "/var/lib": self._path("lib"),
                "/run": self._path("run"),
                "/etc/resolv.conf": self._path("resolv"),
            },
        )

    def start(self):
        with open(self._path("log"), "ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL"]
                + self._namespace.command(
                    self._tree.path("usr/sbin/smtpd"),
                    "-d",
                    "-f",
                    self._path("smtpd.conf"),
                ),
                env=self._tree.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        util.wait_until(
            self._greets,
            60,
            lambda: "220 from OpenSMTPD\n" + util.tail(self.log()),
        )

    def _greets(self):
        return private.greets(
            "OpenSMTPD", self._process, self.ports["plain"], self.log
        )

    def close(self):
        """Ends all its processes."""
        if self._process is not None:
            process, self._process = self._process, None

            def gone():
                process.poll()
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                    return False
                return True

            util.wait_until(gone, 10, "the end of OpenSMTPD's processes")
        shutil.rmtree(self.top, ignore_errors=True)

    def log(self):
        return util.read_text(self._path("log"))

    def backend(self, port="plain"):
        return "127.0.0.1:%d" % self.ports[port]
