#!/usr/bin/env python3
"""A long run with churn, faults and reloads: what is used stays what it was.

    scripts/soak [--minutes=60] [--binary=PATH] [--clients=50]

tlspost-load sends mail through STARTTLS in rounds and proves each round;
beside it clients vanish in the middle of everything, certificates are renewed,
SIGHUP and SIGUSR1 come. Between two rounds, when nobody is there, memory,
descriptors, coroutine frames and receive blocks are looked at. They may grow
while caches fill; in the second half of the run they must not.
"""

import argparse
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import certs  # noqa: E402
import proxy  # noqa: E402
import smtpclient  # noqa: E402
import util  # noqa: E402

_ROUND_SECONDS = 20
_QUIET_SECONDS = 20  # for what lingers after a round
# What the second half may be above the first: noise of the allocator.
_RSS_SLACK = 0.05
_ADMIN_PAGES = ("metrics", "healthz")
_GAUGES = (
    "tlspost_client_sessions",
    "tlspost_coroutine_frames",
    "tlspost_coroutine_frame_octets",
    "tlspost_receive_blocks",
)


def tool(name):
    return os.path.join(
        os.path.dirname(os.path.dirname(proxy.binary)), "bench", name
    )


class Sink:
    def __init__(self):
        self.process = subprocess.Popen(
            [tool("tlspost-sink"), "--listen=127.0.0.1:0"]
            + ["--control=127.0.0.1:0"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        line = self.process.stdout.readline()
        match = re.search(r"mail on (\S+) and tells of it on (\S+)", line)
        if not match:
            raise SystemExit("soak: tlspost-sink said %r" % line)
        self.address, self.control = match.groups()
        # Its words at the end must find room.
        threading.Thread(
            target=self.process.stdout.read, daemon=True
        ).start()

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)


class Vandals(threading.Thread):
    """Clients that leave at any point, most of them without a word."""

    def __init__(self, port, trust, seed):
        super().__init__(daemon=True)
        self._port, self._trust = port, trust
        self._random = random.Random(seed)
        self._stop_now = threading.Event()
        self.visits = 0

    def run(self):
        while not self._stop_now.wait(0.05):
            self.visits += 1
            try:
                self._visit()
            except (OSError, AssertionError, smtpclient.Closed, ValueError):
                pass  # who breaks off is broken off

    def _visit(self):
        how = self._random.randrange(6)
        if how == 0:
            with socket.create_connection(("127.0.0.1", self._port), 5) as raw:
                raw.sendall(os.urandom(self._random.randrange(2000)))
            return
        trust = self._trust if how in (1, 2) else None
        client = smtpclient.session(self._port, trust, "vandal.test")
        try:
            if how in (1, 3):
                client.envelope("v@vandal.test", ["r@recipient.test"])
                client.command("DATA")
                client.send(b"Subject: cut off\r\n\r\n" + b"x" * 5000)
            elif how == 4:
                client.send(b"MAIL FROM:<v@vandal.test>\r\nRCPT TO:<")
            elif how == 5:
                client.command("STARTTLS")
                client.send_raw(b"\x16\x03\x01\x02\x00" + os.urandom(30))
        finally:
            client.close()

    def stop(self):
        self._stop_now.set()
        self.join(30)


class Soak:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.certificates = certs.Certificates()
        self.install("rsa")
        self.sink = Sink()
        self.port, self.admin = util.free_port(), util.free_port()
        settings = proxy.settings_for(
            self.port,
            self.sink.address,
            self.certificates,
            tls_cert_file=os.path.join(folder, "cert.pem"),
            tls_key_file=os.path.join(folder, "key.pem"),
            log_file=os.path.join(folder, "mail.log"),
            log_format="json",
            admin_listen="127.0.0.1:%d" % self.admin,
            user="nobody" if os.geteuid() == 0 else None,
            max_connections=1000,
        )
        self.server = proxy.Proxy(self.port, proxy.options(settings))
        self.looks = []

    def install(self, name):
        for kind, target in ((".chain.pem", "cert.pem"), (".key", "key.pem")):
            new = os.path.join(self.folder, "new")
            shutil.copyfile(self.certificates.path(name + kind), new)
            os.chmod(new, 0o600)
            os.replace(new, os.path.join(self.folder, target))

    def page(self, name):
        url = "http://127.0.0.1:%d/%s" % (self.admin, name)
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read().decode()

    def gauges(self):
        text = self.page("metrics")
        return {
            name: int(re.search(r"^%s (\d+)" % name, text, re.M).group(1))
            for name in _GAUGES
        }

    def load(self, number):
        """One round of proved mail."""
        done = subprocess.run(
            [
                tool("tlspost-load"),
                "--server=127.0.0.1:%d" % self.port,
                "--verify=" + self.sink.control,
                "--clients=%d" % self.options.clients,
                "--duration=%ds" % _ROUND_SECONDS,
                "--messages=%d" % (1 + number % 5),
                "--threads=1",
                "--quiet",
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise SystemExit(
                "soak: round %d: tlspost-load ended with %d\n%s%s"
                % (number, done.returncode, done.stdout, done.stderr)
            )

    def disturb(self, number):
        """What an administrator does in the middle of a round."""
        time.sleep(_ROUND_SECONDS / 4)
        self.server.process.send_signal(signal.SIGHUP)
        time.sleep(_ROUND_SECONDS / 4)
        self.install("ecdsa" if number % 2 else "rsa")
        log = os.path.join(self.folder, "mail.log")
        os.replace(log, log + ".1")
        self.server.process.send_signal(signal.SIGUSR1)
        for page in _ADMIN_PAGES:
            try:
                self.page(page)
            except urllib.error.HTTPError as error:
                # A worker that got no processor for a second; only a machine
                # with other work to do makes it wait so long.
                print("round %3d: /%s said %d" % (number, page, error.code))

    def round(self, number):
        vandals = Vandals(self.port, self.certificates.trust(), number)
        administrator = threading.Thread(
            target=self.disturb, args=(number,), daemon=True
        )
        vandals.start()
        administrator.start()
        self.load(number)
        administrator.join()
        vandals.stop()
        util.wait_until(
            lambda: self.gauges()["tlspost_client_sessions"] == 0,
            _QUIET_SECONDS,
            "the end of all sessions",
        )
        self.look(number, vandals.visits)

    def look(self, number, visits):
        process = "/proc/%d" % self.server.process.pid
        with open(process + "/statm", encoding="ascii") as file:
            pages = int(file.read().split()[1])
        facts = {
            "rss": pages * os.sysconf("SC_PAGE_SIZE"),
            "descriptors": len(os.listdir(process + "/fd")),
            **self.gauges(),
        }
        self.looks.append(facts)
        print(
            "round %3d: %6.1f MiB, %3d descriptors, %4d frames (%d octets), "
            "%d blocks; %d vandals"
            % (
                number,
                facts["rss"] / 2**20,
                facts["descriptors"],
                facts["tlspost_coroutine_frames"],
                facts["tlspost_coroutine_frame_octets"],
                facts["tlspost_receive_blocks"],
                visits,
            ),
            flush=True,
        )

    def verdict(self):
        """What has grown in the second half, in words."""
        middle = len(self.looks) // 2
        first, second = self.looks[:middle], self.looks[middle:]
        problems = []
        for name in second[0]:
            before = max(look[name] for look in first)
            after = min(look[name] for look in second[-3:])
            allowed = before * (1 + _RSS_SLACK) if name == "rss" else before
            if after > allowed:
                problems.append(
                    "%s was at most %d in the first half and is at least %d "
                    "at the end" % (name, before, after)
                )
        return problems

    def run(self):
        end = time.monotonic() + self.options.minutes * 60
        number = 0
        while time.monotonic() < end or number < 6:
            number += 1
            self.round(number)
        self.server.stop(60)
        return self.verdict()

    def close(self):
        self.server.kill()
        self.server.forget()
        self.sink.stop()
        self.certificates.close()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--binary", default="build/release/proxy/tlspost")
    options = parser.parse_args()
    proxy.binary = os.path.abspath(options.binary)
    for path in (proxy.binary, tool("tlspost-load"), tool("tlspost-sink")):
        if not os.access(path, os.X_OK):
            raise SystemExit(
                "soak: %s is not there; build it with -DTLSPOST_BUILD_BENCH=ON"
                % path
            )
    folder = tempfile.mkdtemp(prefix="tlspost-soak-")
    os.chmod(folder, 0o700)
    soak = Soak(options, folder)
    try:
        problems = soak.run()
    finally:
        soak.close()
        shutil.rmtree(folder)
    for problem in problems:
        print("soak: " + problem)
    print("soak: %s" % ("FAILED" if problems else "nothing has grown"))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
