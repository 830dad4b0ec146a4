"""What starts and watches a service: variables instead of a file, the health
check of a container, the words that systemd waits for."""

import os
import re
import signal
import socket
import subprocess
import tempfile

import proxy
import tlscase
import util


def variables(settings):
    """Settings as a container is given them."""
    return {
        "TLSPOST_" + name.upper(): (
            ", ".join(value) if isinstance(value, list) else str(value)
        )
        for name, value in settings.items()
        if value is not None
    }


class ServiceCase(tlscase.TlsCase):
    def launch_with(self, arguments, port, environment):
        """A proxy whose environment has these variables too."""
        saved = dict(os.environ)
        before = proxy.environment
        proxy.environment = lambda arguments=(): {
            **before(arguments),
            **environment,
        }
        try:
            return self.launch(arguments, port)
        finally:
            proxy.environment = before
            assert dict(os.environ) == saved


class EnvironmentTest(ServiceCase):
    def settings(self, port, **changes):
        return proxy.settings_for(
            port, self.postfix.backend("reuse"), self.certificates, **changes
        )

    def test_variables_are_enough(self):
        port, second = util.free_port(), util.free_port()
        listen = ["127.0.0.1:%d" % port, "127.0.0.1:%d" % second]
        running = self.launch_with(
            [],
            port,
            {
                **variables(self.settings(port, listen=listen)),
                # As Kubernetes has it beside a service named tlspost.
                "TLSPOST_SERVICE_HOST": "10.0.0.7",
                "TLSPOST_PORT": "tcp://10.0.0.7:25",
                "TLSPOST_PORT_25_TCP": "tcp://10.0.0.7:25",
            },
        )
        self.assert_delivers(self.tls_session(running), "one@sender.test")
        running.port = second
        self.assert_delivers(self.tls_session(running), "two@sender.test")

    def test_file_variable_option(self):
        """Each wins over the one before."""
        port = util.free_port()
        path = self.file(
            tlscase.toml(self.settings(port, hostname="file.test")), ".toml"
        )
        for more, arguments, name in (
            ({}, [], "file.test"),
            ({"TLSPOST_HOSTNAME": "mx.test"}, [], "mx.test"),
            ({"TLSPOST_HOSTNAME": "x.test"}, ["--hostname=o.test"], "o.test"),
        ):
            with self.subTest(name):
                running = self.launch_with(
                    arguments, port, {"TLSPOST_CONFIG": path, **more}
                )
                self.assertIn(name, self.connect(running).greeting.text)
                self.close_clients()
                running.stop()

    def test_errors_name_the_variable(self):
        for name, value, words in (
            ("TLSPOST_BACKENDS", "x:25", "did you mean TLSPOST_BACKEND?"),
            ("TLSPOST_WORKERS", "many", "is no whole number"),
            ("TLSPOST_CONFIG", "/nowhere/t.toml", "cannot be read"),
        ):
            with self.subTest(name):
                result = proxy.run("serve", variables={name: value})
                self.assertEqual(result.returncode, 1, result.stderr)
                self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
                self.assertIn(name, result.stderr)
                self.assertIn(words, result.stderr)


class ContainerCommandTest(ServiceCase):
    def test_without_settings_it_demonstrates(self):
        result = proxy.run("container", timeout=60)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("so this is the demonstration", result.stdout)
        self.assertIn("Received: from", result.stdout)

    def test_with_a_backend_it_serves(self):
        port = util.free_port()
        settings = proxy.settings_for(
            port, self.postfix.backend("reuse"), self.certificates
        )
        running = self.launch_with(["container"], port, variables(settings))
        self.assert_delivers(self.tls_session(running))

    def test_a_backend_must_be_set(self):
        result = proxy.run(
            "container", variables={"TLSPOST_HOSTNAME": "mx.test"}
        )
        self.assertEqual(result.returncode, 1)
        self.assertIn("set TLSPOST_BACKEND=HOST:PORT", result.stderr)


class HealthcheckTest(ServiceCase):
    def healthcheck(self, running):
        return proxy.run("healthcheck", *running.command[1:])

    def assert_healthy(self, running):
        result = self.healthcheck(running)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout, r"\Ahealthy: [^\n]*\n\Z")
        self.assertEqual(result.stderr, "")
        return result.stdout

    def assert_unhealthy(self, options, *words):
        result = proxy.run("healthcheck", *options)
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertEqual(result.stdout, "")
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)

    def test_all_listeners_are_asked(self):
        running = self.start_proxy()
        shown = self.assert_healthy(running)
        self.assertIn("127.0.0.1:%d" % running.port, shown)
        self.assertIn("127.0.0.1:%d (TLS)" % running.implicit_port, shown)
        # One that nobody serves is named.
        gone = util.free_port()
        self.assert_unhealthy(
            running.command[1:] + ["--listen_tls=127.0.0.1:%d" % gone],
            "127.0.0.1:%d: " % gone,
            "refused",
        )

    def test_a_backend_that_is_down_is_not_our_illness(self):
        running = self.start_proxy(
            backend="127.0.0.1:%d" % util.free_port()
        )
        self.assert_healthy(running)

    def test_behind_a_balancer(self):
        """It says a PROXY header itself, where one is awaited."""
        port = util.free_port()
        running = self.start_with_file(
            """
            [[listener]]
            address = "0.0.0.0:%d"
            upstream_proxy_protocol = "haproxy"
            haproxy_networks = ["127.0.0.0/8"]
            """
            % port
        )
        self.assertIn("0.0.0.0:%d" % port, self.assert_healthy(running))

    def test_who_answers_something_else_is_not_healthy(self):
        port = util.free_port()
        with socket.socket() as other:
            other.bind(("127.0.0.1", port))
            other.listen()
            process = subprocess.Popen(
                [proxy.binary, "healthcheck", "--listen=127.0.0.1:%d" % port],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=proxy.environment(),
            )
            peer, _ = other.accept()
            with peer:
                peer.sendall(b"554 5.3.2 no\x1b[2J service\r\n")
                _, error = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 1)
        self.assertEqual(error.count(b"\n"), 1, error)
        self.assertIn(b"expected a 220, heard: 554 5.3.2", error)
        self.assertNotIn(b"\x1b", error)


class ServiceManagerTest(ServiceCase):
    """systemd's part is played by a datagram socket."""

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix="tlspost-e2e-")
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "notify")
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.manager.close)
        self.manager.bind(self.path)
        self.manager.settimeout(30)

    def hears(self, pattern):
        """The next datagram that is no mere status, which must match."""
        while True:
            text = self.manager.recv(4096).decode()
            if re.fullmatch(r"STATUS=[^\n]*", text):
                continue
            self.assertRegex(text, r"\A" + pattern + r"\Z")
            return text

    def launch_service(self, **environment):
        port = util.free_port()
        settings = proxy.settings_for(
            port, self.postfix.backend("reuse"), self.certificates
        )
        return self.launch_with(
            proxy.options(settings),
            port,
            {"NOTIFY_SOCKET": self.path, **environment},
        )

    def test_ready_reloading_stopping(self):
        running = self.launch_service()
        self.hears(r"READY=1\nSTATUS=serving: \d+ clients, .*")
        running.process.send_signal(signal.SIGHUP)
        self.hears(r"RELOADING=1\nMONOTONIC_USEC=\d+")
        self.hears(r"READY=1\nSTATUS=serving: .*")
        # It had been loaded before that was said.
        self.assertIn(tlscase.RELOADED, running.log())
        running.terminate()
        self.hears(r"STOPPING=1\nSTATUS=draining: .*")
        self.assertEqual(running.wait(20), 0)

    def test_reload_that_fails_ends_too(self):
        running = self.launch_service()
        self.hears(r"READY=1\n.*")
        certificate = self.certificates.path("rsa.chain.pem")
        os.rename(certificate, certificate + ".away")
        try:
            running.process.send_signal(signal.SIGHUP)
            self.hears(r"RELOADING=1\n.*")
            self.hears(r"READY=1\n.*")
            self.assertRegex(running.log(), tlscase.KEPT)
        finally:
            os.rename(certificate + ".away", certificate)

    def test_alive_while_workers_take_their_turns(self):
        self.launch_service(WATCHDOG_USEC="1000000")
        self.hears(r"READY=1\n.*")
        for _ in range(3):
            self.hears(r"WATCHDOG=1")

    def test_status_counts_clients(self):
        running = self.launch_service()
        clients = [self.tls_session(running) for _ in range(3)]
        pattern = r"STATUS=serving: 3 clients, \d+ backend connections"
        while not re.fullmatch(pattern, self.manager.recv(4096).decode()):
            pass
        for client in clients:
            client.quit()

    def test_not_ready_when_it_cannot_start(self):
        result = proxy.run(
            "--listen=192.0.2.1:25", variables={"NOTIFY_SOCKET": self.path}
        )
        self.assertEqual(result.returncode, 1)
        self.manager.setblocking(False)
        with self.assertRaises(BlockingIOError):
            self.manager.recv(4096)
