"""The servers that are compared, each with one worker, before the same sink.

Peers come from Debian packages, unpacked beside the build and not installed
(tests/e2e/debian.py). Every server does all that it can do: tlspost writes its
Received header and its log, and tells the sink who the client is by XCLIENT,
as nginx does; HAProxy and stunnel know no SMTP behind the handshake.
"""

import os
import re
import shutil
import subprocess
import tempfile

import processes

# From tests/e2e, which processes adds.
import debian
import postfix
import postfix_config
import postfix_software
import util


class Server:
    """One of the compared: `tls` is how clients begin, `port` where."""

    name = None
    tls = "starttls"
    most_idle = 100000  # connections that it can be asked to hold
    opens_within = 2  # seconds that one of them may take
    # Of a server that takes several times what the others do: it need not be
    # known as well.
    enough_rounds = 1000
    # 1,500 sessions one after another take it seconds, and not minutes.
    warms_up = True
    plaintext = True  # it serves a client that has not said STARTTLS

    def __init__(self, folder, certificate, sink):
        self.folder = tempfile.mkdtemp(prefix=self.slug() + "-", dir=folder)
        self.certificate = certificate
        self.sink = sink
        self.port = util.free_port()
        self.helpers = []
        self.process = processes.Process(
            self.slug(),
            self.command(),
            self.port,
            self.environment(),
            self.folder,
        )

    @classmethod
    def slug(cls):
        return re.sub(r"\W+", "-", cls.name.lower()).strip("-")

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return path

    def environment(self):
        return None

    def command(self):
        raise NotImplementedError

    def close(self):
        self.process.close()
        for helper in self.helpers:
            helper.close()

    @classmethod
    def version(cls):
        raise NotImplementedError


class Tlspost(Server):
    name = "tlspost"
    engine = "io_uring"
    workers = 1
    _program = os.path.join(processes.BUILD, "proxy", "tlspost")

    def command(self):
        listen = "listen" if self.tls == "starttls" else "listen_tls"
        command = [
            self._program,
            "--%s=127.0.0.1:%d" % (listen, self.port),
            "--backend=127.0.0.1:%d" % self.sink.port,
            "--hostname=mx.example",
            "--tls_cert_file=" + self.certificate.cert,
            "--tls_key_file=" + self.certificate.key,
            "--workers=%d" % self.workers,
            "--io_engine=" + self.engine,
            "--max_connections=100000",
            "--peername_lookup=no",
            "--log_file=" + os.path.join(self.folder, "log"),
        ]
        # The load comes from a few addresses, and one of the cells is nothing
        # but NOOPs; the limits stay on.
        return command + [
            "--junk_command_limit=1000000",
            "--client_connection_count_limit=100000",
            "--client_tls_handshake_limit=100000",
        ]

    @classmethod
    def version(cls):
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=processes.ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.strip() or "unknown"


class TlspostEpoll(Tlspost):
    """The engine for where io_uring is not to be had."""

    name = "tlspost, epoll"
    engine = "epoll"

    @classmethod
    def version(cls):
        done = subprocess.run(
            [cls._program, "--help"], capture_output=True, text=True, check=False
        )
        if "--io_engine" not in done.stdout:
            raise util.Skip("this build has one engine only")
        return super().version()


class TlspostTwoWorkers(Tlspost):
    """Beside nobody: the peers have one worker each."""

    name = "tlspost, two workers"
    workers = 2


class TlspostImplicit(Tlspost):
    name = "tlspost, implicit TLS"
    tls = "implicit"


_NGINX = """\
daemon off;
worker_processes 1;
pid {folder}/{what}.pid;
error_log {folder}/{what}.log warn;
user {user};
{body}
"""

# The mail module asks this where to connect to, once per session. It is a
# process of its own, so that its time is not in nginx's.
_NGINX_AUTH = """\
events {{ worker_connections 10000; }}
http {{
  access_log off;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2;
  fastcgi_temp_path {folder}/t3; uwsgi_temp_path {folder}/t4;
  scgi_temp_path {folder}/t5;
  server {{
    listen 127.0.0.1:{auth};
    location / {{
      add_header Auth-Status OK;
      add_header Auth-Server 127.0.0.1;
      add_header Auth-Port {sink};
      return 204;
    }}
  }}
}}
"""

_NGINX_MAIL = """\
load_module {module};
events {{ worker_connections {connections}; }}
mail {{
  server_name mx.example;
  auth_http 127.0.0.1:{auth}/;
  ssl_certificate {cert};
  ssl_certificate_key {key};
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_session_tickets on;
  smtp_capabilities PIPELINING 8BITMIME "SIZE 0" DSN;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    protocol smtp;
    smtp_auth none;
    starttls on;
    xclient on;
    timeout 600s;
  }}
}}
"""


class Nginx(Server):
    name = "nginx mail"
    warms_up = False

    @classmethod
    def tree(cls):
        return debian.unpack("nginx", "libnginx-mod-mail")

    def environment(self):
        return self.tree().environment()

    def _configuration(self, what, body):
        return self.file(
            what + ".conf",
            _NGINX.format(folder=self.folder, what=what, body=body, user="root"),
        )

    def _run(self, what, body):
        path = self._configuration(what, body)
        return [
            self.tree().path("usr/sbin/nginx"),
            "-c",
            path,
            "-p",
            self.folder,
            "-e",
            os.path.join(self.folder, what + ".log"),
        ]

    def command(self):
        auth = util.free_port()
        body = _NGINX_AUTH.format(folder=self.folder, auth=auth, sink=self.sink.port)
        self.helpers.append(
            processes.Process(
                "nginx-auth",
                self._run("auth", body),
                auth,
                self.environment(),
                self.folder,
            )
        )
        module = self.tree().path("usr/lib/nginx/modules/ngx_mail_module.so")
        return self._run(
            "mail",
            _NGINX_MAIL.format(
                module=module,
                auth=auth,
                cert=self.certificate.cert,
                key=self.certificate.key,
                port=self.port,
                connections=2 * processes.most_connections(),
            ),
        )

    @classmethod
    def version(cls):
        done = subprocess.run(
            [cls.tree().path("usr/sbin/nginx"), "-v"],
            env=cls.tree().environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stderr.strip().rpartition("/")[2]


_HAPROXY = """\
global
  nbthread 1
  maxconn {connections}
  tune.ssl.default-dh-param 2048
defaults
  mode tcp
  timeout connect 10s
  timeout client 600s
  timeout server 600s
listen smtps
  bind 127.0.0.1:{port} ssl crt {both} backlog 4096
  server sink 127.0.0.1:{sink}
"""


class Haproxy(Server):
    name = "HAProxy"
    tls = "implicit"

    @classmethod
    def tree(cls):
        return debian.unpack("haproxy")

    def environment(self):
        return self.tree().environment()

    def command(self):
        path = self.file(
            "haproxy.cfg",
            _HAPROXY.format(
                port=self.port,
                both=self.certificate.both,
                sink=self.sink.port,
                connections=processes.most_connections(),
            ),
        )
        return [self.tree().path("usr/sbin/haproxy"), "-db", "-f", path]

    @classmethod
    def version(cls):
        done = subprocess.run(
            [cls.tree().path("usr/sbin/haproxy"), "-v"],
            env=cls.tree().environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.split("\n")[0].split()[2]


_STUNNEL = """\
foreground = yes
pid =
syslog = no
debug = warning
[smtp]
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{sink}
protocol = smtp
cert = {both}
"""


class Stunnel(Server):
    name = "stunnel"
    # It answers EHLO itself, and whatever follows must be STARTTLS.
    plaintext = False
    most_idle = 1000  # a thread for each
    warms_up = False
    opens_within = 10
    enough_rounds = 2

    @classmethod
    def tree(cls):
        return debian.unpack("stunnel4")

    def environment(self):
        return self.tree().environment()

    def command(self):
        path = self.file(
            "stunnel.conf",
            _STUNNEL.format(
                port=self.port, both=self.certificate.both, sink=self.sink.port
            ),
        )
        return [self.tree().path("usr/bin/stunnel4"), path]

    @classmethod
    def version(cls):
        done = subprocess.run(
            [cls.tree().path("usr/bin/stunnel4"), "-version"],
            env=cls.tree().environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        match = re.search(r"stunnel (\S+)", done.stderr)
        return match.group(1) if match else "unknown"


_POSTFIX_PROCESSES = 300
_POSTFIX_MAIN = (
    postfix_config.PLACES_CF
    + """\
myhostname = mx.example
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
smtpd_peername_lookup = no
disable_dns_lookups = yes
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
default_process_limit = {processes}
message_size_limit = 41000000
queue_minfree = 0
smtpd_tls_security_level = may
smtpd_tls_received_header = yes
smtpd_tls_cert_file = {cert}
smtpd_tls_key_file = {key}
"""
)
_POSTFIX_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
  -o smtpd_proxy_filter=127.0.0.1:{sink}
rewrite unix - - n - - trivial-rewrite
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
cleanup unix n - n - 0 cleanup
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
"""


class _FilterInstance(postfix.Postfix):
    """The configuration of a Postfix that passes mail on before it queues."""

    listeners = ()

    def __init__(self, server):
        self._server = server
        super().__init__(None)

    def _files(self, certificates, values):
        server = self._server
        return {
            "main.cf": _POSTFIX_MAIN.format(
                processes=_POSTFIX_PROCESSES,
                cert=server.certificate.cert,
                key=server.certificate.key,
                **values
            ),
            "master.cf": _POSTFIX_MASTER.format(
                port=server.port, sink=server.sink.port
            ),
        }


class PostfixFilter(Server):
    """smtpd_proxy_filter: a process for each client."""

    name = "Postfix proxy filter"
    most_idle = _POSTFIX_PROCESSES
    opens_within = 10
    enough_rounds = 2
    warms_up = False

    def command(self):
        self.instance = _FilterInstance(self)
        return [
            os.path.join(self.instance.software.daemons, "master"),
            "-c",
            os.path.join(self.instance.top, "etc"),
            "-d",
        ]

    def environment(self):
        return self.instance.software.environment

    def close(self):
        super().close()
        self.instance.close()

    @classmethod
    def version(cls):
        if os.geteuid() != 0:
            raise util.Skip("it needs root, as its processes change users")
        return postfix_software.locate().version()


ALL = (
    Tlspost,
    TlspostImplicit,
    TlspostEpoll,
    Nginx,
    Haproxy,
    Stunnel,
    PostfixFilter,
)


def remove(folder):
    shutil.rmtree(folder, ignore_errors=True)
