"""tlspost reload and SIGHUP: settings change while it serves."""

import contextlib
import http.client
import os
import shutil
import signal
import stat
import tempfile

import case
import proxy
import smtpclient
import traffic
import util


_RELOADS = 12  # in a row, under load


class ReloadCase(case.PostfixCase):
    """A proxy with a settings file and a control socket."""

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix="tlspost-e2e-")
        self.addCleanup(folder.cleanup)
        self.file = os.path.join(folder.name, "tlspost.toml")
        self.socket = os.path.join(folder.name, "control")
        self.port = util.free_port()

    def write(self, **changes):
        """The settings file; None leaves a setting out."""
        settings = proxy.settings_for(
            self.port,
            changes.pop("backend", self.postfix.backend("reuse")),
            self.certificates,
            control_socket=self.socket,
            **changes
        )
        with open(self.file, "w", encoding="utf-8") as file:
            for name, value in settings.items():
                if value is not None:
                    file.write("%s = %s\n" % (name, self.toml(value)))

    @staticmethod
    def toml(value):
        if isinstance(value, list):
            return "[%s]" % ", ".join(map(ReloadCase.toml, value))
        if isinstance(value, int):
            return str(value)
        if value in ("yes", "no"):
            return {"yes": "true", "no": "false"}[value]
        return '"%s"' % value

    def start(self, *options, **changes):
        self.write(**changes)
        return self.launch(
            ["--config=" + self.file] + list(options), self.port
        )

    def reload(self, status=0):
        """`tlspost reload`: the one line that it prints."""
        result = proxy.run("reload", "--config=" + self.file)
        said = result.stdout + result.stderr
        self.assertEqual(result.returncode, status, said)
        self.assertEqual(len(said.strip().splitlines()), 1, said)
        return said.strip()

    @staticmethod
    def metrics_page(port):
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        ) as connection:
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()

    def greeting(self, running):
        return self.connect(running).greeting.text


class ReloadTest(ReloadCase):
    def test_new_clients_get_the_new_settings_and_old_ones_keep_theirs(self):
        running = self.start()
        old = self.tls_session(running)
        self.write(hostname="after.test", disable_vrfy_command="yes")
        said = self.reload()
        self.assertIn("in force: ", said)
        self.assertIn("hostname", said)
        self.assertIn("disable_vrfy_command", said)
        self.assertIn("220 after.test", self.greeting(running))
        new = self.tls_session(running)
        self.assert_reply(new.command("VRFY a"), 502)
        self.assert_reply(old.command("VRFY a"), 252)
        self.assert_delivers(old, "old@sender.test")
        new.deliver("new@sender.test", ["r@recipient.test"], b"Subject: x\r\n")
        running.wait_for_log("settings reloaded: .*hostname")

    def test_in_mid_transaction_nothing_is_lost(self):
        running = self.start()
        client = self.tls_session(running)
        client.envelope("middle@sender.test", ["r@recipient.test"])
        self.assert_reply(client.command("DATA"), 354)
        client.send(b"Subject: middle\r\n\r\nfirst half\r\n")
        # Other backend connections, and a smaller limit.
        self.write(hostname="after.test", message_size_limit="1k")
        self.reload()
        client.send(b"x" * 70 + b"\r\n")
        client.send(b"y" * 998 + b"\r\nsecond half\r\n.\r\n")
        self.assert_reply(client.reply(), 250)
        message = self.only_message()
        self.assertTrue(message.content.endswith(b"second half\n"))

    def test_sighup_does_the_same(self):
        running = self.start()
        self.write(hostname="hup.test")
        running.process.send_signal(signal.SIGHUP)
        running.wait_for_log("settings reloaded: hostname")
        self.assertIn("220 hup.test", self.greeting(running))

    def test_nothing_has_changed(self):
        self.start()
        self.assertIn("no setting has changed", self.reload())

    def test_what_needs_a_restart_is_said_and_the_rest_is_in_force(self):
        running = self.start()
        self.write(hostname="after.test", workers=3, log_queue_size=999)
        said = self.reload(status=3)
        self.assertIn("in force: hostname", said)
        self.assertRegex(said, "until a restart: workers, log_queue_size$")
        self.assertIn("220 after.test", self.greeting(running))
        running.wait_for_log(
            "warning: reload: workers, log_queue_size: as before until a"
        )
        # It is asked for again until it is restarted, or the file is mended.
        self.reload(status=3)
        self.write(hostname="after.test")
        self.reload()

    def test_what_needs_a_restart_and_does_not_go_with_the_rest(self):
        """What is kept is not left without what it was to be replaced by."""
        folder = tempfile.mkdtemp(prefix="tlspost-e2e-")
        self.addCleanup(shutil.rmtree, folder)
        trusted = {
            "tls_ask_ccert": "yes",
            "tls_CAfile": self.certificates.path("root.pem"),
        }
        running = self.start(**trusted)
        self.write(hostname="after.test", tls_ask_ccert="yes", tls_CApath=folder)
        self.assertIn(
            "tls_CApath: changes together with tls_CAfile",
            self.reload(status=1),
        )
        self.assertIn("220 mx.test", self.greeting(running))
        self.write(**trusted)
        self.reload()
        running.stop()
        self.proxies.remove(running)
        self.start()
        self.write(tls_ask_ccert="yes", tls_req_ccert="yes", tls_CApath=folder)
        self.assertIn("tls_req_ccert: no client", self.reload(status=1))

    def test_E035_a_bad_file_changes_nothing(self):
        admin = util.free_port()
        admin_listen = "127.0.0.1:%d" % admin
        running = self.start(admin_listen=admin_listen)
        bad = {
            "no TOML": "listen = [",
            "unknown": 'hostnam = "x"',
            "range": "recipient_limit = 0",
            "combination": 'tls_security_level = "encrypt"\ntls_cert_file = ""',
            "file": 'tls_cert_file = "/nonexistent.pem"',
            "busy": 'listen = "%s"' % self.postfix.backend("reuse"),
            "name": 'backend = "nowhere.invalid:25"',
        }
        for number, (what, lines) in enumerate(bad.items()):
            with self.subTest(what):
                with open(self.file, "w", encoding="utf-8") as file:
                    file.write('hostname = "bad.test"\n')
                    file.write('control_socket = "%s"\n' % self.socket)
                    if what != "busy":
                        file.write('listen = "127.0.0.1:%d"\n' % self.port)
                    file.write(lines + "\n")
                if what == "no TOML":
                    # The socket cannot be read of it either.
                    result = proxy.run(
                        "reload", "--control_socket=" + self.socket
                    )
                    self.assertEqual(result.returncode, 1)
                else:
                    self.assertNotIn("in force", self.reload(status=1))
                self.assertIn("220 mx.test", self.greeting(running))
                util.wait_until(
                    lambda number=number: running.log().count(
                        "error: reload: "
                    )
                    == number + 1,
                    5,
                    lambda: "one more line in " + running.log(),
                )
        page = self.metrics_page(admin)
        self.assertIn(
            "tlspost_tls_reload_failures_total %d" % len(bad), page
        )
        self.assertIn("tlspost_tls_last_reload_successful 0", page)
        self.write(mail_name="mended", admin_listen=admin_listen)
        self.assertIn("in force: mail_name", self.reload())
        self.assert_delivers(self.tls_session(running))

    def test_the_command_line_wins_again(self):
        running = self.start("--hostname=given.test")
        self.write(hostname="file.test", mail_name="other")
        self.assertIn("in force: mail_name", self.reload())
        self.assertIn("220 given.test", self.greeting(running))

    def test_addresses_come_and_go(self):
        running = self.start()
        stays = self.tls_session(running)
        other = util.free_port()
        self.write(
            listen=["127.0.0.1:%d" % self.port, "127.0.0.1:%d" % other]
        )
        self.assertIn("listen", self.reload())
        with smtpclient.session(
            other, self.certificates.trust(), "client.test"
        ) as client:
            self.assert_delivers(client, "second@sender.test")
        self.write(listen=["127.0.0.1:%d" % other])
        self.reload()
        with self.assertRaises(OSError):
            smtpclient.Client(self.port, timeout=2)
        # Who came there before is served to the end.
        self.assert_delivers(stays, "first@sender.test")
        with smtpclient.session(
            other, self.certificates.trust(), "client.test"
        ) as client:
            self.assert_delivers(client, "third@sender.test")

    def test_starttls_becomes_implicit_tls_at_the_same_address(self):
        running = self.start()
        self.tls_session(running).quit()
        address = "127.0.0.1:%d" % self.port
        self.write(listen=[], listen_tls=[address])
        self.reload()
        with smtpclient.Client(self.port, greet=False) as client:
            client.handshake(self.certificates.trust())
            self.assert_reply(client.reply(), 220)
            client.ehlo("client.test")
            self.assert_delivers(client)

    def test_another_backend(self):
        running = self.start()
        client = self.tls_session(running)
        self.assert_delivers(client, "one@sender.test")
        self.write(backend=self.postfix.backend("single"))
        self.assertIn("backend", self.reload())
        self.assert_delivers(client, "two@sender.test")
        self.assert_delivers(self.tls_session(running), "three@sender.test")
        port = int(self.postfix.backend("reuse").rsplit(":", 1)[1])
        util.wait_until(
            lambda: not proxy.backend_sockets(port),
            10,
            "no connection to the old backend",
        )


class ControlSocketTest(ReloadCase):
    def test_it_is_its_owners_alone_and_goes_with_the_process(self):
        running = self.start()
        mode = os.stat(self.socket).st_mode
        self.assertTrue(stat.S_ISSOCK(mode))
        self.assertEqual(stat.S_IMODE(mode), 0o600)
        running.stop()
        self.assertFalse(os.path.exists(self.socket))

    def test_a_dead_process_left_it_behind(self):
        first = self.start()
        first.kill()
        self.proxies.remove(first)
        first.forget()
        self.assertTrue(os.path.exists(self.socket))
        self.assertIn("nobody listens", self.reload(status=1))
        self.start()
        self.reload()

    def test_two_processes_cannot_have_it(self):
        self.start()
        self.port = util.free_port()
        self.write()
        result = proxy.run("--config=" + self.file)
        self.assertEqual(result.returncode, 1)
        self.assertIn("control_socket: another process", result.stderr)

    def test_without_one_reload_says_so(self):
        result = proxy.run("reload")
        self.assertEqual(result.returncode, 1)
        self.assertIn("no control_socket", result.stderr)


class ReloadUnderLoadTest(ReloadCase):
    crowd = True

    def test_reloads_in_a_row_lose_and_double_nothing(self):
        running = self.start(
            backend_max_connections=8, client_connection_count_limit=0
        )
        other = util.free_port()
        addresses = ["127.0.0.1:%d" % self.port, "127.0.0.1:%d" % other]
        with traffic.Traffic(
            running.port, self.certificates.trust(), mails=3
        ) as ledger:
            for turn in range(1, _RELOADS + 1):
                self.write(
                    hostname="turn-%d.test" % turn,
                    listen=addresses[: 1 + turn % 2],
                    backend=self.postfix.backend(
                        ("reuse", "single")[turn // 2 % 2]
                    ),
                    backend_max_connections=4 + turn % 5,
                    client_connection_count_limit=0,
                )
                self.reload()
        self.assertEqual(ledger.turned_away, [])
        numbers = traffic.check(self, ledger.outcomes)
        self.assertEqual(set(numbers), {"sent"})
        self.assertGreater(numbers["sent"], traffic.CLIENTS)
