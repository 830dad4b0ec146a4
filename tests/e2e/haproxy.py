"""HAProxy in front of several tlspost, as an operator would have it: TCP, the
PROXY protocol, and health by what each replica says of itself."""

import os
import shutil
import socket
import subprocess
import tempfile

import debian
import proxy
import util

# Where it comes from, which is what the replicas believe it by.
ADDRESS = "127.0.9.1"

_CONFIGURATION = """
global
  maxconn 1000
  stats socket {folder}/control level admin
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen smtp
  bind 127.0.0.1:{port}
  balance roundrobin
  option httpchk GET /readyz
  option redispatch
  retries 3
  default-server inter 200ms fall 2 rise 1 source {address} send-proxy-v2
{servers}
"""


class Haproxy:
    """One that balances between replicas: {name: (port, admin port)}."""

    def __init__(self, replicas):
        tree = debian.unpack("haproxy")
        self.port = util.free_port()
        self.folder = tempfile.mkdtemp(prefix="tlspost-e2e-")
        path = os.path.join(self.folder, "haproxy.cfg")
        servers = "".join(
            "  server %s 127.0.0.1:%d check port %d\n" % (name, port, admin)
            for name, (port, admin) in replicas.items()
        )
        with open(path, "w", encoding="ascii") as file:
            file.write(
                _CONFIGURATION.format(
                    folder=self.folder,
                    port=self.port,
                    address=ADDRESS,
                    servers=servers,
                )
            )
        self._log = open(os.path.join(self.folder, "log"), "wb")
        self._process = subprocess.Popen(
            proxy.dies_with_us()
            + [tree.path("usr/sbin/haproxy"), "-db", "-f", path],
            env={**os.environ, **tree.environment()},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        for name in replicas:
            self.await_state(name, "UP")

    def log(self):
        return util.read_text(os.path.join(self.folder, "log"))

    def ask(self, command):
        """What its control socket answers."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(10)
            control.connect(os.path.join(self.folder, "control"))
            control.sendall(command.encode() + b"\n")
            answer = b""
            while True:
                part = control.recv(65536)
                if not part:
                    return answer.decode()
                answer += part

    def facts(self, name):
        """{column: value} of show stat for that replica."""
        head, *lines = self.ask("show stat").lstrip("# ").splitlines()
        for line in lines:
            row = dict(zip(head.split(","), line.split(",")))
            if row.get("pxname") == "smtp" and row.get("svname") == name:
                return row
        raise AssertionError("HAProxy knows no %s\n%s" % (name, self.log()))

    def await_state(self, name, state):
        def is_so():
            try:
                return self.facts(name)["status"].startswith(state)
            except OSError:
                return False  # its socket is not there yet

        util.wait_until(
            is_so, 30, lambda: "%s %s\n%s" % (name, state, self.log())
        )

    def drain(self, name):
        """No new clients for it; returns when its last one has left."""
        self.ask("set server smtp/%s state drain" % name)
        util.wait_until(
            lambda: self.facts(name)["scur"] == "0",
            60,
            lambda: "an end of the sessions of " + name,
        )

    def close(self):
        self._process.kill()
        self._process.wait(10)
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
