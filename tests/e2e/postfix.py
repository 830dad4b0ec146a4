"""A private, real Postfix for the tests.

Debian's package is downloaded and unpacked beside the build, never installed:
/etc/postfix, /var/spool/postfix and any running MTA stay untouched.
Configuration, queue, data directory and log live in one temporary directory,
the services listen on free loopback ports, and everything that was started is
stopped by process id.

Accepted mail is put on HOLD, so that a test can read each message's envelope,
client identity and exact content from its queue file.

Its listeners and recipients are in postfix_config.py.
"""

import contextlib
import errno
import glob
import grp
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import dovecot_auth
import postfix_config
import postfix_queue
import postfix_software
import util

# Postfix insists on an owner and a group that nobody else uses. Its own ones
# are left to an installed Postfix; these exist on every Debian and own
# nothing.
_OWNERS = ("games", "irc", "news", "uucp", "list", "postfix")
_GROUPS = ("operator", "src", "dialout", "fax", "voice", "postdrop")
# A PROXY header that names no client (version 2, LOCAL).
_PROXY_LOCAL = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"
_BACKEND_NAMES = "DNS:backend.test, DNS:localhost"


def _pick(names, lookup):
    for name in names:
        with contextlib.suppress(KeyError):
            lookup(name)
            return name
    raise util.Skip(
        "Postfix needs an unprivileged user and group of its own; none of "
        "%s exists here" % ", ".join(names)
    )


class Postfix:
    """One private instance; start() and stop() may be called repeatedly."""

    listeners = postfix_config.LISTENERS

    def __init__(self, certificates):
        if os.geteuid() != 0:
            raise util.Skip(
                "Postfix needs root (its processes change users); run "
                "tests/e2e/run as root or with password-less sudo"
            )
        self.software = postfix_software.locate()
        self.owner = _pick(_OWNERS, pwd.getpwnam)
        self.group = _pick(_GROUPS, grp.getgrnam)
        self.ports = {name: util.free_port() for name in self.listeners}
        self.top = tempfile.mkdtemp(prefix="tlspost-e2e-postfix-")
        self.log_path = os.path.join(self.top, "maillog")
        self._process = None
        self._watcher = None
        self._auth = dovecot_auth.AuthServer()
        try:
            self._configure(certificates)
        except OSError as error:
            self.close()
            if error.errno in (errno.EINVAL, errno.EPERM):
                raise util.Skip(
                    "Postfix needs more users than this user namespace "
                    "has: %s" % error
                ) from error
            raise
        except BaseException:
            self.close()
            raise

    def _configure(self, certificates):
        os.chmod(self.top, 0o755)
        owner, group = (
            pwd.getpwnam(self.owner).pw_uid,
            grp.getgrnam(self.group).gr_gid,
        )
        etc = os.path.join(self.top, "etc")
        os.mkdir(etc, 0o755)
        # Empty for an installed Postfix, which knows where its parts are.
        libraries = (
            os.path.dirname(self.software.daemons)
            if self.software.libraries
            else ""
        )
        values = {
            "top": self.top,
            "daemons": self.software.daemons,
            "commands": self.software.commands,
            "owner": self.owner,
            "group": self.group,
            "libraries": "shlib_directory = " + libraries if libraries else "",
        }
        for name, text in self._files(certificates, values).items():
            with open(os.path.join(etc, name), "w", encoding="ascii") as file:
                file.write(text)
        data = os.path.join(self.top, "data")
        os.mkdir(data, 0o700)
        os.chown(data, owner, -1)
        for name, user, files_group, mode in postfix_config.QUEUE_DIRECTORIES:
            path = os.path.join(self.top, "queue", name)
            os.makedirs(path, exist_ok=True)
            os.chown(
                path,
                owner if user == "owner" else 0,
                group if files_group else -1,
            )
            os.chmod(path, mode)

    def _files(self, certificates, values):
        """{name: text} of the configuration, made with `values`."""
        limits = {
            "recipient_limit": postfix_config.SMALL_RECIPIENT_LIMIT,
            "size_limit": postfix_config.SMALL_SIZE_LIMIT,
            "certificate": certificates.path("rsa.chain.pem"),
            "key": certificates.path("rsa.key"),
            "authority": certificates.path("root.pem"),
            "auth_port": self._auth.port,
        }
        for name, days in (("secure", (-1, 2)), ("expired", (-9, -1))):
            certificates.issue(
                "backend-" + name, names=_BACKEND_NAMES, days=days
            )
            limits[name + "_chain"] = certificates.path(
                "backend-" + name + ".combined.pem"
            )
        return {
            "main.cf": postfix_config.MAIN_CF.format(**values),
            "master.cf": postfix_config.MASTER_CF.format(
                top=self.top, **limits, **self.ports
            ),
            "screened": postfix_config.SCREENED_OUT + " reject\n",
            "recipients": postfix_config.RECIPIENTS,
        }

    # Life.

    @property
    def running(self):
        return self._process is not None

    def start(self):
        assert self._process is None, "Postfix runs already"
        self._process = subprocess.Popen(
            [
                os.path.join(self.software.daemons, "master"),
                "-c",
                os.path.join(self.top, "etc"),
                "-d",
            ],
            env=self.software.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=open(os.path.join(self.top, "master.err"), "ab"),
            start_new_session=True,
        )
        # If this process is killed, the watcher's input ends; it cleans up.
        self._watcher = subprocess.Popen(
            ["sh", "-c", "read line || kill -TERM -%d" % self._process.pid],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        for port in self.ports.values():
            util.wait_until(
                lambda port=port: self._greets(port),
                60,
                lambda port=port: "220 from Postfix on port %d\n%s"
                % (port, util.tail(self.log() + self._errors())),
            )

    def _greets(self, port):
        if self._process.poll() is not None:
            raise AssertionError(
                "Postfix's master ended with status %s\n%s"
                % (
                    self._process.returncode,
                    util.tail(self.log() + self._errors()),
                )
            )
        try:
            with socket.create_connection(
                ("127.0.0.1", port), timeout=10
            ) as peer:
                if port in map(self.ports.get, ("haproxy", "screened")):
                    peer.sendall(_PROXY_LOCAL)
                greeting = peer.recv(100)
                peer.sendall(b"QUIT\r\n")
                return greeting.startswith((b"220 ", b"220-"))
        except OSError:
            return False

    def stop(self):
        """Ends every process of this instance, as `postfix stop` does."""
        if self._process is None:
            return
        process, self._process = self._process, None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                pass
        # The session is ours alone: its group id is the master's process id.
        deadline = time.monotonic() + 10
        while True:
            try:
                os.killpg(process.pid, 0)
            except ProcessLookupError:
                break
            if time.monotonic() > deadline or process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            time.sleep(0.02)
            process.poll()
        self._watcher.communicate(b"stopped\n", timeout=10)

    def close(self):
        self.stop()
        self._auth.close()
        shutil.rmtree(self.top, ignore_errors=True)

    def signal(self, name, number):
        """Sends a signal to all its processes of a name; returns how many."""
        assert self._process is not None
        group = os.getpgid(self._process.pid)
        count = 0
        for path in glob.glob("/proc/[0-9]*/stat"):
            with contextlib.suppress(OSError):
                with open(path, encoding="utf-8") as file:
                    pid, _, rest = file.read().partition(" ")
                command, _, fields = rest.rpartition(")")
                if command[1:] == name and int(fields.split()[2]) == group:
                    os.kill(int(pid), number)
                    count += 1
        return count

    # What a test asks.

    def log(self):
        return util.read_text(self.log_path)

    def _errors(self):
        return util.read_text(os.path.join(self.top, "master.err"))

    def backend(self, listener):
        return "127.0.0.1:%d" % self.ports[listener]

    def queue_ids(self):
        return sorted(os.listdir(os.path.join(self.top, "queue", "hold")))

    def message(self, queue_id):
        path = os.path.join(self.top, "queue", "hold", queue_id)
        with open(path, "rb") as file:
            return postfix_queue.parse_queue_file(queue_id, file.read())

    def messages(self):
        """Every accepted message.

        A message is in the queue before its client hears 250, so that nothing
        has to be waited for; what is not on HOLD is a bug of the set-up.
        """
        for name in ("incoming", "active", "deferred"):
            folder = os.path.join(self.top, "queue", name)
            for path in glob.glob(os.path.join(folder, "**"), recursive=True):
                try:
                    mode = os.stat(path).st_mode
                except FileNotFoundError:
                    continue
                # Mode 0600: cleanup still writes it; 0700: accepted.
                assert os.path.isdir(path) or not mode & 0o100, path
        return [self.message(queue_id) for queue_id in self.queue_ids()]

    def messages_to(self, recipient):
        return [
            message
            for message in self.messages()
            if recipient in message.recipients
        ]

    def clear(self):
        """Forgets all messages."""
        for queue_id in self.queue_ids():
            os.unlink(os.path.join(self.top, "queue", "hold", queue_id))

    def postcat(self, *arguments):
        """Output of Postfix's own queue file viewer."""
        return subprocess.run(
            [
                os.path.join(self.software.commands, "postcat"),
                "-c",
                os.path.join(self.top, "etc"),
            ]
            + list(arguments),
            env=self.software.environment,
            capture_output=True,
            check=True,
            timeout=30,
        ).stdout
