"""A private, real Postfix for the tests.

Debian's package is downloaded and unpacked beside the build, never installed:
/etc/postfix, /var/spool/postfix and any running MTA stay untouched.
Configuration, queue, data directory and log live in one temporary directory,
the services listen on free loopback ports, and everything that was started is
stopped by process id.

Accepted mail is put on HOLD, so that a test can read each message's envelope,
client identity and exact content from its queue file.

Listeners (`Postfix.ports`):
  reuse   every client address may send XCLIENT, high error and junk limits:
          what tlspost recommends behind a pool
  single  smtpd_authorized_xclient_hosts = 127.0.0.1, the usual setting, which
          accepts only one effective XCLIENT per connection
  plain   no XCLIENT at all, and no defence against pipelining or bare newlines
  strict  like reuse, with Postfix's default error limits, few recipients and a
          small message_size_limit
  tls     no XCLIENT, and STARTTLS with the RSA certificate: what tlspost
          imitates
  ccert   like tls, and asks for client certificates
  secure  like reuse, with STARTTLS and a certificate for backend.test and
          localhost: a backend that tlspost reaches through TLS
  expired like secure, with a certificate that has expired
  haproxy each connection begins with a PROXY header
  xforward  XFORWARD and no XCLIENT
  closed  like reuse, but it relays for nobody, and takes mail for its own
          domain only; bare newlines are normalized
  sasl    like reuse, with AUTH (dovecot_auth.py knows the passwords); takes
          mail from authenticated clients only

Recipients decide what happens to them: refused* gets 550, later* gets 450, and
anything else is accepted.
"""

import contextlib
import errno
import glob
import grp
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import debian
import dovecot_auth
import util

# Postfix insists on an owner and a group that nobody else uses. Its own ones
# are left to an installed Postfix; these exist on every Debian and own
# nothing.
_OWNERS = ("games", "irc", "news", "uucp", "list", "postfix")
_GROUPS = ("operator", "src", "dialout", "fax", "voice", "postdrop")

SMALL_SIZE_LIMIT = 200000
SMALL_RECIPIENT_LIMIT = 5


# --- the software -----------------------------------------------------------


class Software:
    """Where the programs lie, and the environment they need."""

    def __init__(self, commands, daemons, environment):
        self.commands = commands
        self.daemons = daemons
        self.environment = environment

    @property
    def libraries(self):
        """LD_LIBRARY_PATH, empty for an installed Postfix."""
        return self.environment.get("LD_LIBRARY_PATH", "")

    def version(self):
        return subprocess.run(
            [
                os.path.join(self.commands, "postconf"),
                "-d",
                "-h",
                "mail_version",
            ],
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout.strip()


def _installed():
    """An installed Postfix, whose programs can be used without touching it."""
    postconf = shutil.which("postconf", path="/usr/sbin:/usr/local/sbin")
    if not postconf:
        return None
    daemons = subprocess.run(
        [postconf, "-d", "-h", "daemon_directory"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    ).stdout.strip()
    if not os.path.exists(os.path.join(daemons, "master")):
        return None
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C"}
    return Software(os.path.dirname(postconf), daemons, environment)


def locate():
    """The Postfix to use; util.Skip says why there is none."""
    try:
        tree = debian.unpack("postfix")
    except util.Skip:
        software = _installed()
        if software is None:
            raise
        return software
    return Software(
        tree.path("usr/sbin"),
        tree.path("usr/lib/postfix/sbin"),
        tree.environment(),
    )


def _pick(names, lookup):
    for name in names:
        with contextlib.suppress(KeyError):
            lookup(name)
            return name
    raise util.Skip(
        "Postfix needs an unprivileged user and group of its own; none of "
        "%s exists here" % ", ".join(names)
    )


# --- one message in the queue -----------------------------------------------


class Message:
    """What a queue file holds."""

    def __init__(self, queue_id, sender, recipients, attributes, content):
        self.queue_id = queue_id
        self.sender = sender
        self.recipients = recipients
        self.attributes = attributes
        self.content = content

    def __repr__(self):
        return "Message(%s, from %s, to %s, client %s)" % (
            self.queue_id,
            self.sender,
            self.recipients,
            self.client,
        )

    @property
    def client(self):
        """name[address] as Postfix knows the client."""
        return "%s[%s]" % (
            self.attributes.get("log_client_name"),
            self.attributes.get("log_client_address"),
        )

    @property
    def helo(self):
        return self.attributes.get("log_helo_name")

    @property
    def protocol(self):
        return self.attributes.get("log_protocol_name")

    def received(self, index):
        """The index-th Received header field, with its newlines."""
        return self._split()[0][index]

    def received_count(self):
        return len(self._split()[0])

    def below(self, headers):
        """The content below that many header fields at the top."""
        rest = self.content
        for _ in range(headers):
            match = _FIELD.match(rest)
            rest = rest[match.end() :]
        return rest

    def _split(self):
        fields, rest = [], self.content
        while True:
            match = _FIELD.match(rest)
            if not match or not match.group().lower().startswith(b"received:"):
                return fields, rest
            fields.append(match.group().decode("latin-1"))
            rest = rest[match.end() :]


_FIELD = re.compile(rb"[!-9;-~]+:[^\n]*\n(?:[ \t][^\n]*\n)*")


def parse_queue_file(queue_id, data):
    """Reads Postfix's record format: type, length in 7-bit groups, bytes.

    Message lines are N records, their leading parts L records (a long line is
    split), so that the content comes out byte for byte; lines end in LF.
    """
    sender, recipients, attributes, content = None, [], {}, []
    position, in_message = 0, False
    while position < len(data):
        kind = chr(data[position])
        position += 1
        length = shift = 0
        while True:
            octet = data[position]
            position += 1
            length |= (octet & 0x7F) << shift
            shift += 7
            if not octet & 0x80:
                break
        value = data[position : position + length]
        position += length
        if kind == "E":
            return Message(
                queue_id, sender, recipients, attributes, b"".join(content)
            )
        if kind == "p" and int(value) > 0:
            position = int(value)
        elif kind == "M":
            in_message = True
        elif kind == "X":
            in_message = False
        elif in_message and kind in "NL":
            content.append(value + (b"\n" if kind == "N" else b""))
        elif kind == "S":
            sender = value.decode("utf-8", "surrogateescape")
        elif kind == "R":
            recipients.append(value.decode("utf-8", "surrogateescape"))
        elif kind == "A":
            name, _, text = value.decode("utf-8", "surrogateescape").partition(
                "="
            )
            attributes[name] = text
    raise ValueError("queue file %s has no end record" % queue_id)


# --- the running system -----------------------------------------------------

# Of any private instance: where its parts are.
PLACES_CF = """\
compatibility_level = 3.6
queue_directory = {top}/queue
data_directory = {top}/data
daemon_directory = {daemons}
command_directory = {commands}
{libraries}
meta_directory = {top}/etc
mail_owner = {owner}
setgid_group = {group}
import_environment = MAIL_CONFIG TZ LANG=C LD_LIBRARY_PATH
maillog_file = {top}/maillog
maillog_file_prefixes = {top}

"""

_MAIN_CF = (
    PLACES_CF
    + """\
myhostname = backend.test
mydomain = test
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 0.0.0.0/0
mydestination = backend.test
alias_maps =
alias_database =
local_recipient_maps =
relay_domains =
smtpd_peername_lookup = no
disable_dns_lookups = yes
enable_long_queue_ids = yes
message_size_limit = 41000000
mailbox_size_limit = 0
queue_minfree = 0

# Private and on loopback: relaying is what is wanted. HOLD keeps the message.
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions =
  check_recipient_access regexp:{top}/etc/recipients, permit
smtpd_reject_unlisted_recipient = no

# The content has to arrive as it was sent.
receive_override_options =
  no_address_mappings, no_header_body_checks, no_milters
local_header_rewrite_clients =

# Nothing but the tested listeners' own settings may slow a test down.
# (in_flow_delay holds back mail that comes faster than the queue manager, of
# whom there is none.)
in_flow_delay = 0
service_throttle_time = 1s
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
default_process_limit = 100

# The dangerous default of older versions (whatever arrives safely is tlspost's
# doing) and the strict one of newer versions (an XCLIENT sent ahead is
# refused).
smtpd_forbid_bare_newline = no
smtpd_forbid_unauth_pipelining = yes
"""
)

_RECIPIENTS = """\
/^refused/  550 5.1.1 This recipient is refused
/^later/    450 4.2.0 This recipient is told to come later
/./         HOLD
"""

_MASTER_CF = """\
127.0.0.1:{reuse} inet n - n - - smtpd
  -o syslog_name=postfix/reuse
  -o smtpd_authorized_xclient_hosts=0.0.0.0/0,[::]/0
  -o smtpd_soft_error_limit=100000
  -o smtpd_hard_error_limit=100000
  -o smtpd_junk_command_limit=100000
127.0.0.1:{single} inet n - n - - smtpd
  -o syslog_name=postfix/single
  -o smtpd_authorized_xclient_hosts=127.0.0.1
127.0.0.1:{plain} inet n - n - - smtpd
  -o syslog_name=postfix/plain
  -o smtpd_authorized_xclient_hosts=
  -o smtpd_forbid_unauth_pipelining=no
127.0.0.1:{strict} inet n - n - - smtpd
  -o syslog_name=postfix/strict
  -o smtpd_authorized_xclient_hosts=0.0.0.0/0,[::]/0
  -o smtpd_recipient_limit={recipient_limit}
  -o message_size_limit={size_limit}
127.0.0.1:{tls} inet n - n - - smtpd
  -o syslog_name=postfix/tls
  -o smtpd_tls_security_level=may
  -o smtpd_tls_loglevel=1
  -o smtpd_tls_received_header=yes
  -o smtpd_tls_cert_file={certificate}
  -o smtpd_tls_key_file={key}
127.0.0.1:{ccert} inet n - n - - smtpd
  -o syslog_name=postfix/ccert
  -o smtpd_tls_security_level=may
  -o smtpd_tls_loglevel=1
  -o smtpd_tls_received_header=yes
  -o smtpd_tls_ask_ccert=yes
  -o smtpd_tls_CAfile={authority}
  -o smtpd_tls_cert_file={certificate}
  -o smtpd_tls_key_file={key}
127.0.0.1:{secure} inet n - n - - smtpd
  -o syslog_name=postfix/secure
  -o smtpd_authorized_xclient_hosts=0.0.0.0/0,[::]/0
  -o smtpd_tls_security_level=may
  -o smtpd_tls_loglevel=1
  -o smtpd_tls_received_header=yes
  -o smtpd_tls_chain_files={secure_chain}
127.0.0.1:{expired} inet n - n - - smtpd
  -o syslog_name=postfix/expired
  -o smtpd_authorized_xclient_hosts=0.0.0.0/0,[::]/0
  -o smtpd_tls_security_level=may
  -o smtpd_tls_loglevel=1
  -o smtpd_tls_received_header=yes
  -o smtpd_tls_chain_files={expired_chain}
127.0.0.1:{haproxy} inet n - n - - smtpd
  -o syslog_name=postfix/haproxy
  -o smtpd_upstream_proxy_protocol=haproxy
127.0.0.1:{xforward} inet n - n - - smtpd
  -o syslog_name=postfix/xforward
  -o smtpd_authorized_xforward_hosts=127.0.0.1
127.0.0.1:{closed} inet n - n - - smtpd
  -o syslog_name=postfix/closed
  -o smtpd_authorized_xclient_hosts=0.0.0.0/0,[::]/0
  -o smtpd_soft_error_limit=100000
  -o smtpd_hard_error_limit=100000
  -o smtpd_junk_command_limit=100000
  -o smtpd_relay_restrictions=reject_unauth_destination
  -o smtpd_forbid_bare_newline=normalize
  -o smtpd_forbid_bare_newline_exclusions=
127.0.0.1:{sasl} inet n - n - - smtpd
  -o syslog_name=postfix/sasl
  -o smtpd_authorized_xclient_hosts=0.0.0.0/0,[::]/0
  -o smtpd_soft_error_limit=100000
  -o smtpd_hard_error_limit=100000
  -o smtpd_junk_command_limit=100000
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_sasl_type=dovecot
  -o smtpd_sasl_path=inet:127.0.0.1:{auth_port}
  -o smtpd_sasl_authenticated_header=yes
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
cleanup unix n - n - 0 cleanup
rewrite unix - - n - - trivial-rewrite
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
bounce unix - - n - 0 bounce
error unix - - n - - error
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
"""

# As in the package's postfix-files: directory, owner, group, mode.
_QUEUE_DIRECTORIES = (
    [("", "root", None, 0o755), ("pid", "root", None, 0o755)]
    + [
        (name, "owner", None, 0o700)
        for name in (
            "active",
            "bounce",
            "corrupt",
            "defer",
            "deferred",
            "flush",
            "hold",
            "incoming",
            "private",
            "saved",
            "trace",
        )
    ]
    + [
        ("maildrop", "owner", "group", 0o730),
        ("public", "owner", "group", 0o710),
    ]
)

LISTENERS = (
    "reuse",
    "single",
    "plain",
    "strict",
    "tls",
    "ccert",
    "secure",
    "expired",
    "haproxy",
    "xforward",
    "closed",
    "sasl",
)
# A PROXY header that names no client (version 2, LOCAL).
_PROXY_LOCAL = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"
_BACKEND_NAMES = "DNS:backend.test, DNS:localhost"


class Postfix:
    """One private instance; start() and stop() may be called repeatedly."""

    listeners = LISTENERS

    def __init__(self, certificates):
        if os.geteuid() != 0:
            raise util.Skip(
                "Postfix needs root (its processes change users); run "
                "tests/e2e/run as root or with password-less sudo"
            )
        self.software = locate()
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
        for name, user, files_group, mode in _QUEUE_DIRECTORIES:
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
            "recipient_limit": SMALL_RECIPIENT_LIMIT,
            "size_limit": SMALL_SIZE_LIMIT,
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
            "main.cf": _MAIN_CF.format(**values),
            "master.cf": _MASTER_CF.format(**limits, **self.ports),
            "recipients": _RECIPIENTS,
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
                if port == self.ports.get("haproxy"):
                    peer.sendall(_PROXY_LOCAL)
                greeting = peer.recv(100)
                peer.sendall(b"QUIT\r\n")
                return greeting.startswith(b"220 ")
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
            return parse_queue_file(queue_id, file.read())

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
