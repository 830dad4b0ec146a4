"""The image and the compose file's two containers, built and run for real.

Containers have no rights, a read-only root and a user of their own. What the
engines refuse by default is refused here too, in each of their ways.
"""

import errno
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import debian_root
import engine
from debian_root import REPOSITORY, checked
from test_form import load_yaml, read

IMAGE_BYTES = 30 * 10**6
_MAILER = [sys.executable, "-B", os.path.join(debian_root.HERE, "mailer.py")]
_LOCKED_IN = [
    "--read-only",
    "--cap-drop",
    "ALL",
    "--security-opt",
    "no-new-privileges",
]
_OURS = "seccomp=" + os.path.join(REPOSITORY, "docker", "seccomp.json")
_RIGHTS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


def setUpModule():
    reason = engine.need()
    if reason:
        raise unittest.SkipTest(reason)


def make_certificate(folder, names):
    """A self-signed pair for these names: (certificate, key)."""
    paths = [os.path.join(folder, name) for name in ("cert.pem", "key.pem")]
    checked(
        ["openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"]
        + ["-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=mx.test"]
        + ["-addext", "subjectAltName=" + names]
        + ["-out", paths[0], "-keyout", paths[1]],
        60,
    )
    return paths


def fingerprint(path):
    der = subprocess.run(
        ["openssl", "x509", "-in", path, "-outform", "DER"],
        check=True,
        stdout=subprocess.PIPE,
        timeout=60,
    ).stdout
    return hashlib.sha256(der).hexdigest()


def wait_until(condition, seconds, what):
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("not within %d s: %s" % (seconds, what()))
        time.sleep(0.2)


class ContainerCase(unittest.TestCase):
    """Containers of a World; the names that a test used are free afterwards."""

    @classmethod
    def setUpClass(cls):
        cls.image = engine.build("tlspost", "docker/Dockerfile", ".")
        cls.postfix_image = engine.build(
            "tlspost-postfix", "docker/postfix/Dockerfile", "docker/postfix"
        )
        cls.world = engine.World()
        cls.addClassCleanup(cls.world.close)

    def setUp(self):
        folder = tempfile.mkdtemp(prefix="files.", dir=debian_root.CACHE)
        self.addCleanup(shutil.rmtree, folder)
        os.chmod(folder, 0o755)
        self.folder = folder
        self.addCleanup(self.world.remove, "tlspost", "postfix")

    def start_postfix(self, xclient_hosts, listen, options=()):
        self.world.start(
            self.postfix_image,
            "postfix",
            [
                "--env=MAIL_HOST=mx.example.test",
                "--env=MAIL_DOMAIN=example.test",
                "--env=XCLIENT_HOSTS=" + xclient_hosts,
                "--env=LISTEN_ADDRESS=" + listen,
                *options,
            ],
        )
        self.await_postfix()

    def await_postfix(self):
        wait_until(
            lambda: "daemon started" in self.world.logs("postfix"),
            60,
            lambda: self.world.logs("postfix"),
        )

    def await_healthy(self):
        def is_healthy():
            return (
                subprocess.run(
                    self.world.podman_command(
                        "exec", "tlspost", "/usr/sbin/tlspost", "healthcheck"
                    ),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    timeout=60,
                    check=False,
                ).returncode
                == 0
            )

        wait_until(is_healthy, 60, lambda: self.world.logs("tlspost"))

    def fetch(self, url, network=None):
        """A page's text; Failed if there is none."""
        return self.world.run(
            sys.executable,
            "-c",
            "import urllib.request as u; "
            "print(u.urlopen(%r, timeout=10).read().decode())" % url,
            network=network,
        )

    def await_backend(self, network=None):
        """Until it has reached Postfix."""

        def is_ready():
            try:
                return self.fetch("http://127.0.0.1:9090/readyz", network)
            except debian_root.Failed:
                return None

        wait_until(is_ready, 60, lambda: self.world.logs("tlspost"))

    def mailbox(self):
        return self.world.podman(
            "exec", "postfix", "sh", "-c", "cat /var/mail/mail || true"
        )

    def delivered(self, subject):
        """The message with this subject; there is one."""
        wait_until(
            lambda: "Subject: %s\n" % subject in self.mailbox(),
            30,
            lambda: self.world.logs("postfix"),
        )
        found = [
            message
            for message in re.split(r"(?m)^From ", self.mailbox())
            if "Subject: %s\n" % subject in message
        ]
        self.assertEqual(len(found), 1)
        return found[0]


class ImageTest(ContainerCase):
    """On one network with Postfix, under every profile."""

    def setUp(self):
        super().setUp()
        certificate, key = make_certificate(self.folder, "IP:127.0.0.1")
        os.chown(key, -1, 2525)
        os.chmod(key, 0o640)
        self.certificate = certificate
        self.service = [
            "--volume=%s:/tls:ro" % self.folder,
            "--env=TLSPOST_BACKEND=127.0.0.1:10025",
            "--env=TLSPOST_TLS_CERT_FILE=/tls/cert.pem",
            "--env=TLSPOST_TLS_KEY_FILE=/tls/key.pem",
            "--env=TLSPOST_HOSTNAME=mx.example.test",
            "--env=TLSPOST_LISTEN_TLS=0.0.0.0:4650",
        ]

    def serve(self, *options):
        self.start_postfix("127.0.0.1", "127.0.0.1")
        self.world.start(
            self.image, "tlspost", _LOCKED_IN + self.service + list(options)
        )
        self.await_healthy()
        self.await_backend()

    def send(self, subject, port=2525, *more):
        return self.world.run(
            *_MAILER,
            "127.0.0.1",
            str(port),
            subject,
            "--authority=" + self.certificate,
            *more
        )

    def test_is_small(self):
        size = self.world.inspect(self.image)["Size"]
        print("image: %.1f MB" % (size / 10**6))
        self.assertLess(size, IMAGE_BYTES)

    def test_is_configured(self):
        config = self.world.inspect(self.image)["Config"]
        self.assertEqual(config["User"], "2525:2525")
        self.assertEqual(config["StopSignal"], "SIGTERM")
        self.assertEqual(
            set(config["ExposedPorts"]), {"2525/tcp", "4650/tcp", "9090/tcp"}
        )
        self.assertEqual(
            self.world.inspect(self.image)["Healthcheck"]["Test"],
            ["CMD", "/usr/sbin/tlspost", "healthcheck"],
        )

    def test_without_arguments_it_demonstrates(self):
        said = checked(
            self.world.container_command(
                self.image,
                "tlspost",
                _LOCKED_IN + ["--security-opt", _OURS],
            ),
            120,
        )
        self.assertIn("so this is the demonstration", said)
        self.assertRegex(said, r"Received: from \S+ \(\S+ \[127\.0\.0\.1\]\)")

    def test_delivers_under_our_profile(self):
        self.serve("--security-opt", _OURS)
        self.send("ours")
        message = self.delivered("ours")
        self.assertIn("first half\nsecond half\n", message)
        self.assertRegex(message, r"\(using TLSv1\.3 with cipher \S+ \(")
        self.send("implicit", 4650, "--implicit")
        self.delivered("implicit")
        metrics = self.fetch("http://127.0.0.1:9090/metrics")
        self.assertRegex(metrics, r"(?m)^tlspost_\w+ ")

    def test_has_no_rights(self):
        self.serve("--security-opt", _OURS)
        pid = self.world.inspect("tlspost")["State"]["Pid"]
        status = dict(
            line.split(":\t", 1)
            for line in self.world.run(
                "cat", "/proc/%d/status" % pid
            ).splitlines()
            if ":\t" in line
        )
        self.assertEqual(status["Uid"].split(), ["2525"] * 4)
        self.assertEqual(status["Gid"].split(), ["2525"] * 4)
        self.assertEqual(status["NoNewPrivs"], "1")
        for name in _RIGHTS:
            self.assertEqual(int(status[name], 16), 0, name)

    def test_delivers_where_io_uring_is_refused(self):
        for name, options in (
            ("podman's own profile", []),
            ("as Docker does", [self.world.profile(errno.EPERM)]),
            ("as gVisor does", [self.world.profile(errno.ENOSYS)]),
        ):
            with self.subTest(name):
                profile = ["--security-opt=seccomp=" + path for path in options]
                self.serve(*profile)
                subject = "refused %d" % len(self.mailbox())
                self.send(subject)
                self.delivered(subject)
                self.assertRegex(self.world.logs("tlspost"), r"(?i)epoll")
                self.world.remove("tlspost", "postfix")

    def test_delivers_with_little_locked_memory(self):
        self.serve(
            "--security-opt", _OURS, "--ulimit", "memlock=65536:65536"
        )
        self.send("memlock")
        self.delivered("memlock")

    def test_is_told_by_a_mounted_file(self):
        path = os.path.join(self.folder, "tlspost.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(
                'listen = ["127.0.0.1:2600"]\n'
                'backend = ["127.0.0.1:10025"]\n'
                'hostname = "file.test"\n'
                'tls_cert_file = "/tls/cert.pem"\n'
                'tls_key_file = "/tls/key.pem"\n'
            )
        self.start_postfix("127.0.0.1", "127.0.0.1")
        self.world.start(
            self.image,
            "tlspost",
            _LOCKED_IN
            + ["--security-opt", _OURS]
            + ["--volume=%s:/tls:ro" % self.folder]
            + ["--volume=%s:/etc/tlspost/tlspost.toml:ro" % path],
        )
        self.await_healthy()
        self.send("file", 2600)
        self.assertIn("by file.test (tlspost)", self.delivered("file"))

    def test_healthcheck_is_the_engines(self):
        self.serve("--security-opt", _OURS)
        self.world.podman("healthcheck", "run", "tlspost")
        # And it can fail.
        with self.assertRaises(debian_root.Failed):
            self.world.podman(
                "exec",
                "tlspost",
                "/usr/sbin/tlspost",
                "healthcheck",
                "--listen=127.0.0.1:1",
            )

    def test_drains_when_it_is_stopped(self):
        self.serve("--security-opt", _OURS)
        client = subprocess.Popen(
            self.world.command(
                *_MAILER,
                "127.0.0.1",
                "2525",
                "drained",
                "--authority=" + self.certificate,
                "--pause"
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(client.kill)
        while client.stdout.readline() != "half\n":
            self.assertIsNone(client.poll())
        stop = subprocess.Popen(
            self.world.podman_command("stop", "-t", "60", "tlspost"),
            stdout=subprocess.DEVNULL,
        )
        wait_until(
            lambda: "draining" in self.world.logs("tlspost"),
            30,
            lambda: self.world.logs("tlspost"),
        )
        said, _ = client.communicate("go on\n", timeout=60)
        self.assertTrue(said.startswith("250 "), said)
        self.assertEqual(client.returncode, 0)
        self.assertEqual(stop.wait(90), 0)
        self.assertEqual(
            self.world.inspect("tlspost")["State"]["ExitCode"], 0
        )
        self.delivered("drained")


class ComposeTest(ContainerCase):
    """The two containers as docker/compose.yaml has them, on networks made of
    the same addresses: only tlspost reaches Postfix."""

    CLIENT = "192.0.2.20"
    FRONT = "192.0.2.10"

    def setUp(self):
        super().setUp()
        (compose,) = load_yaml("docker", "compose.yaml")
        self.services = compose["services"]
        self.inside = {
            name: self.services[name]["networks"]["inside"]["ipv4_address"]
            for name in ("tlspost", "postfix")
        }
        self.make_networks()
        # Cleanups run backwards: containers go before their networks.
        self.addCleanup(self.world.remove, "tlspost", "postfix")
        self.make_certificates()
        self.variables = {
            "MAIL_HOST": "mx.example.test",
            "MAIL_DOMAIN": "example.test",
            "LETSENCRYPT": self.letsencrypt,
        }
        self.world.start(
            self.postfix_image, "postfix", self.options_of("postfix")
        )
        self.await_postfix()
        self.world.start(self.image, "tlspost", self.options_of("tlspost"))
        self.await_healthy()
        self.await_backend(network="tlspost")

    def make_networks(self):
        script = """
        set -e
        for name in client tlspost postfix; do ip netns add $name; done
        ip link add outside netns client type veth peer name outside netns tlspost
        ip link add inside netns tlspost type veth peer name inside netns postfix
        for name in client tlspost postfix; do ip -n $name link set lo up; done
        ip -n client addr add {client}/24 dev outside
        ip -n tlspost addr add {front}/24 dev outside
        ip -n tlspost addr add {tlspost}/24 dev inside
        ip -n postfix addr add {postfix}/24 dev inside
        ip -n client link set outside up
        ip -n tlspost link set outside up
        ip -n tlspost link set inside up
        ip -n postfix link set inside up
        """
        for name in ("client", "tlspost", "postfix"):
            self.addCleanup(self.world.run, "ip", "netns", "del", name)
        self.world.run(
            "sh",
            "-c",
            script.format(client=self.CLIENT, front=self.FRONT, **self.inside),
        )

    def make_certificates(self):
        """A folder as certbot has it: live/ with links into archive/."""
        self.letsencrypt = os.path.join(self.folder, "letsencrypt")
        for name in ("live", "archive"):
            os.makedirs(
                os.path.join(self.letsencrypt, name, "mx.example.test")
            )
        self.renew(1)
        # What README.md says, once.
        checked(["chgrp", "-R", "2525", self.letsencrypt], 60)
        checked(["chmod", "-R", "g+rX,o-rwx", self.letsencrypt], 60)

    def renew(self, number):
        archive, live = (
            os.path.join(self.letsencrypt, name, "mx.example.test")
            for name in ("archive", "live")
        )
        pair = make_certificate(
            self.folder, "DNS:mx.example.test,IP:" + self.FRONT
        )
        for made, name in zip(pair, ("fullchain", "privkey")):
            target = os.path.join(archive, "%s%d.pem" % (name, number))
            shutil.move(made, target)
            # certbot keeps group and mode from one to the next.
            os.chown(target, -1, 2525)
            os.chmod(target, 0o640)
            link = os.path.join(live, name + ".pem")
            os.symlink(
                "../../archive/mx.example.test/%s%d.pem" % (name, number),
                link + ".new",
            )
            os.rename(link + ".new", link)

    def expand(self, text):
        return re.sub(
            r"\$\{(\w+)(?::[?-][^}]*)?\}",
            lambda match: self.variables[match.group(1)],
            str(text),
        )

    def options_of(self, name):
        """What compose would tell the engine."""
        service = self.services[name]
        options = ["--network=ns:/run/netns/" + name]
        for key, value in service["environment"].items():
            options.append("--env=%s=%s" % (key, self.expand(value)))
        for volume in service["volumes"]:
            volume = self.expand(volume)
            if volume.startswith("/"):
                options.append("--volume=" + volume)
        for each in service.get("cap_drop", []):
            options += ["--cap-drop", each]
        for each in service.get("security_opt", []):
            each = each.replace(
                "seccomp=", "seccomp=%s/docker/" % REPOSITORY, 1
            )
            options += ["--security-opt", each]
        if service.get("read_only"):
            options.append("--read-only")
        return options

    def send(self, subject, *more):
        try:
            return self.mail(subject, *more)
        except debian_root.Failed as failed:
            self.fail("%s\n%s" % (failed, self.world.logs("tlspost")))

    def mail(self, subject, *more):
        return self.world.run(
            *_MAILER,
            self.FRONT,
            "2525",
            subject,
            "--authority="
            + os.path.join(
                self.letsencrypt, "live/mx.example.test/fullchain.pem"
            ),
            *more,
            network="client"
        )

    def test_delivers_for_the_client(self):
        self.send("compose")
        message = self.delivered("compose")
        # Postfix' own line, and below it ours: both know the client.
        lines = re.findall(r"Received: (from (?:.|\n[ \t])*)", message)
        self.assertEqual(len(lines), 2, message)
        for line in lines:
            self.assertIn("[%s]" % self.CLIENT, line)
        self.assertRegex(lines[1], r"using TLSv1\.3")

    def test_takes_up_what_certbot_renews(self):
        first = self.send("before").split()[1]
        self.renew(2)
        live = os.path.join(
            self.letsencrypt, "live", "mx.example.test", "fullchain.pem"
        )
        self.assertNotEqual(first, fingerprint(live))
        wait_until(
            lambda: "TLS certificates reloaded" in self.world.logs("tlspost"),
            30,
            lambda: self.world.logs("tlspost"),
        )
        self.assertEqual(self.send("after").split()[1], fingerprint(live))

    def test_postfix_believes_nobody_else(self):
        script = (
            "import smtplib; s = smtplib.SMTP(%r, 10025, "
            "source_address=(%r, 0)); print(s.ehlo())"
        )
        self.world.run(
            "ip", "-n", "tlspost", "addr", "add", "172.30.25.9/24", "dev",
            "inside",
        )
        for source, offered in (
            (self.inside["tlspost"], True),
            ("172.30.25.9", False),
        ):
            said = self.world.run(
                sys.executable,
                "-c",
                script % (self.inside["postfix"], source),
                network="tlspost",
            )
            self.assertEqual("XCLIENT" in said, offered, said)

    def test_prometheus_gets_what_it_asks_for(self):
        (target,) = re.findall(
            r'targets: \["(.*)"\]', read("docker", "prometheus", "scrape.yml")
        )
        said = self.fetch("http://%s/metrics" % target, network="postfix")
        self.assertRegex(said, r"(?m)^tlspost_\w+ ")
