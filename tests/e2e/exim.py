"""A private, real Exim: a backend that takes mail, or a sender of a queue.

Debian's package is downloaded and unpacked beside the build, never installed.
Exim insists on a user of its own name, and finds it in a mount namespace.
Spool, log and configuration are in one temporary directory.

What it accepts stays in its spool (queue_only), where a test reads envelope,
client and exact content.

Ports (`Exim.ports`):
  plain   as Debian's Exim comes: no XCLIENT, which is not compiled in
  haproxy each connection must begin with a PROXY header

Recipients decide what happens to them: refused* gets 550, later* gets 450. A
message with "refuse-me" in its Subject gets 550 at its end, one with
"later-me" 450.
"""

import contextlib
import glob
import os
import re
import shutil
import signal
import subprocess
import tempfile

import debian
import private
import util

_CONFIG = """\
exim_path = {exim}
keep_environment = LD_LIBRARY_PATH
spool_directory = {top}/spool
log_file_path = {top}/log/%slog
pid_file_path =
primary_hostname = exim.test
qualify_domain = exim.test
local_interfaces = {interfaces}
queue_only = true
deliver_drop_privilege = true
check_spool_space = 0
check_log_space = 0
smtp_accept_max = {most_connections}
smtp_connect_backlog = 50
rfc1413_query_timeout = 0s
host_lookup =
message_size_limit = 5M
accept_8bitmime = true
smtputf8_advertise_hosts = *
dsn_advertise_hosts = *
hosts_proxy = ${{if ={{$received_port}}{{{haproxy}}}{{*}}}}
tls_advertise_hosts = *
tls_certificate = {certificate}
tls_privatekey = {key}
log_selector = +incoming_port +incoming_interface +proxy +smtp_connection \\
  +smtp_protocol_error +smtp_syntax_error +received_sender \\
  +received_recipients +tls_cipher +8bitmime -queue_run
acl_smtp_mail = accept
acl_smtp_rcpt = rcpt
acl_smtp_data = data
acl_smtp_vrfy = deny
{settings}

begin acl
rcpt:
  deny local_parts = ^refused
       message = 5.1.1 This recipient is refused
  defer local_parts = ^later
       message = 4.2.0 This recipient is told to come later
  accept
data:
  deny condition = ${{if match{{$h_subject:}}{{refuse-me}}}}
       message = 5.7.1 This message is refused
  defer condition = ${{if match{{$h_subject:}}{{later-me}}}}
       message = 4.3.0 This message is told to come later
  accept

{sections}
"""


class Message:
    """What Exim's spool holds of one message."""

    def __init__(self, queue_id, envelope, headers, body):
        lines = envelope.split("\n")
        self.queue_id = queue_id
        self.sender = lines[2][1:-1]
        # "-name value"; after them the non-recipients, then the recipients.
        self.attributes = {}
        rest = iter(lines[4:])
        for line in rest:
            if not line.startswith("-"):
                break
            name, _, value = line.lstrip("-").partition(" ")
            self.attributes[name] = value
        count = next(text for text in rest if text.isdigit())
        self.recipients = [next(rest) for _ in range(int(count))]
        self.headers = headers
        self.body = body

    @property
    def client(self):
        """The address that Exim takes for the client's."""
        return self.attributes["host_address"].partition("]")[0][1:]

    @property
    def helo(self):
        return self.attributes.get("helo_name")

    @property
    def content(self):
        """All of it, with LF line ends."""
        return b"".join(self.headers) + b"\n" + self.body

    def received(self, index):
        """The index-th Received field from above."""
        fields = [
            field for field in self.headers if field.startswith(b"Received: ")
        ]
        return fields[index].decode("utf-8", "surrogateescape")


def parse_spool(queue_id, envelope, data):
    """The Message in the texts of ID-H and ID-D."""
    assert data.startswith(queue_id.encode() + b"-D\n"), data[:40]
    head, _, rest = envelope.partition(b"\n\n")
    headers = []
    while rest:
        length = int(rest[:3])
        kind, text = rest[3:4], rest[5 : 5 + length]
        # "*" marks a field that Exim took out of the message.
        if kind != b"*":
            headers.append(text)
        rest = rest[5 + length :]
    return Message(
        queue_id,
        head.decode("utf-8", "surrogateescape"),
        headers,
        data.partition(b"\n")[2],
    )


class Exim:
    """One private instance; start() and stop() may be called repeatedly.

    settings are further lines of the main section, sections further sections.
    """

    def __init__(
        self, certificates, settings="", sections="", most_connections=200
    ):
        self._tree = debian.unpack("exim4-daemon-heavy")
        self.ports = {name: util.free_port() for name in ("plain", "haproxy")}
        self.top = tempfile.mkdtemp(prefix="tlspost-e2e-exim-")
        self._process = None
        try:
            self._namespace = private.Namespace(self.top, ["Debian-exim"])
            self._configure(
                certificates,
                settings=settings,
                sections=sections,
                most_connections=most_connections,
            )
        except BaseException:
            self.close()
            raise

    def _configure(self, certificates, **values):
        os.chmod(self.top, 0o755)
        uid, gid = self._namespace.ids[0]
        for name in ("spool", "log"):
            os.mkdir(self._path(name), 0o750)
            os.chown(self._path(name), uid, gid)
        for name in ("chain.pem", "key"):
            shutil.copy(certificates.path("rsa." + name), self._path(name))
            os.chown(self._path(name), uid, gid)
        with open(self._path("exim.conf"), "w", encoding="ascii") as file:
            file.write(
                _CONFIG.format(
                    top=self.top,
                    exim=self._tree.path("usr/sbin/exim4"),
                    interfaces=" : ".join(
                        "127.0.0.1.%d" % port for port in self.ports.values()
                    ),
                    haproxy=self.ports["haproxy"],
                    certificate=self._path("chain.pem"),
                    key=self._path("key"),
                    **values
                )
            )

    def _path(self, *parts):
        return os.path.join(self.top, *parts)

    def command(self, *arguments):
        """The command line of this Exim with these arguments."""
        return self._namespace.command(
            self._tree.path("usr/sbin/exim4"),
            "-C",
            self._path("exim.conf"),
            *arguments
        )

    @property
    def environment(self):
        return self._tree.environment()

    # Life.

    @property
    def running(self):
        return self._process is not None

    def start(self):
        assert self._process is None, "Exim runs already"
        with open(self._path("errors"), "ab") as errors:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL"] + self.command("-bdf"),
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                start_new_session=True,
            )
        util.wait_until(
            self._greets, 60, lambda: "220 from Exim\n" + util.tail(self.log())
        )

    def _greets(self):
        return private.greets(
            "Exim", self._process, self.ports["plain"], self.log
        )

    def stop(self):
        """Ends the daemon and all its connections."""
        if self._process is None:
            return
        process, self._process = self._process, None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)

        def gone():
            process.poll()
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                return True
            return False

        util.wait_until(gone, 10, "the end of Exim's processes")

    def close(self):
        self.stop()
        shutil.rmtree(self.top, ignore_errors=True)

    def queue_run(self):
        """Starts sending all that is in the spool; ends by itself."""
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL"] + self.command("-qf"),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    # What a test asks.

    def log(self):
        return "".join(
            util.read_text(self._path(*name))
            for name in (
                ("log", "mainlog"),
                ("log", "paniclog"),
                ("errors",),
            )
        )

    def wait_for_log(self, pattern, timeout=10):
        return util.wait_until(
            lambda: re.search(pattern, self.log(), re.MULTILINE),
            timeout,
            lambda: "/%s/ in the log of Exim:\n%s"
            % (pattern, util.tail(self.log())),
        )

    def backend(self, port="plain"):
        return "127.0.0.1:%d" % self.ports[port]

    def queue_ids(self):
        return sorted(
            os.path.basename(path)[:-2]
            for path in glob.glob(self._path("spool", "input", "**", "*-H"))
            + glob.glob(self._path("spool", "input", "*-H"))
        )

    def messages(self):
        """Every accepted message, the oldest first."""
        result = []
        for queue_id in self.queue_ids():
            texts = []
            for kind in "HD":
                name = "%s-%s" % (queue_id, kind)
                found = glob.glob(
                    self._path("spool", "input", "**", name), recursive=True
                )
                with open(found[0], "rb") as file:
                    texts.append(file.read())
            result.append(parse_spool(queue_id, *texts))
        return result
