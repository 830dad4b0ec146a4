"""What an administrator sees over HTTP while tlspost runs: /metrics, /healthz
and /readyz."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
import unittest
import urllib.parse

import case
import certbot
import debian
import proxy
import smtpclient
import tlscase
import util

_RULES = os.path.join(
    util.REPOSITORY, "docker", "prometheus", "tlspost.rules.yml"
)
_SAMPLE = re.compile(r"^([a-z_]+(?:\{[^}]*\})?) (-?\d+)$", re.MULTILINE)


def get(port, path, timeout=10):
    """(status, content type, body) of a page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        return (
            reply.status,
            reply.getheader("Content-Type"),
            reply.read().decode(),
        )
    finally:
        connection.close()


def header(port, path, name):
    """A header field of a page's reply."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().getheader(name)
    finally:
        connection.close()


def promtool():
    """Path and environment of Prometheus's checker."""
    try:
        path, environment = debian.program("promtool", "prometheus")
        if not os.path.exists(path):  # Debian 13 has it by itself
            path, environment = debian.program("promtool")
    except util.Skip as reason:
        raise unittest.SkipTest(str(reason)) from None
    return path, environment


class WatchedCase(tlscase.TlsCase):
    """Proxies with admin_listen, and what their /metrics say."""

    def start_watched(self, listener="reuse", **changes):
        port = util.free_port()
        changes.setdefault("admin_listen", "127.0.0.1:%d" % port)
        running = self.start_proxy(listener, **changes)
        running.admin_port = port
        return running

    def metrics(self, running):
        """{"tlspost_messages_total": 3, ...}"""
        status, kind, text = get(running.admin_port, "/metrics")
        self.assertEqual(status, 200, text)
        self.assertEqual(kind, "text/plain; version=0.0.4; charset=utf-8")
        return {name: int(value) for name, value in _SAMPLE.findall(text)}

    def wait_for(self, running, **wanted):
        """The metrics once these have the values given."""

        def all_there():
            seen = self.metrics(running)
            same = all(
                seen["tlspost_" + name] == value
                for name, value in wanted.items()
            )
            return seen if same else None

        return util.wait_until(
            all_there,
            10,
            lambda: "%s in\n%s" % (wanted, self.metrics(running)),
        )

    def assert_page(self, running, path, status, body):
        seen = get(running.admin_port, path)
        self.assertEqual((seen[0], seen[2]), (status, body))

    def wait_for_page(self, running, path, status, body):
        util.wait_until(
            lambda: get(running.admin_port, path)[::2] == (status, body),
            10,
            lambda: "%s to be %d %s: %s"
            % (path, status, body, get(running.admin_port, path)),
        )


class MetricsTest(WatchedCase):
    def test_E035_a_broken_reload_is_one_log_line_and_one_metric(self):
        for name in ("renewed1", "renewed2"):
            self.certificates.issue(name)
        lineage = certbot.Lineage(self.certificates, self.folder(), "renewed1")
        running = self.start_watched(**lineage.settings())
        before = self.metrics(running)
        self.assertEqual(before["tlspost_tls_reload_failures_total"], 0)
        self.assertEqual(before["tlspost_tls_last_reload_successful"], 1)
        began = before["tlspost_tls_last_reload_timestamp_seconds"]
        self.assertLess(abs(time.time() - began), 60)
        ends = [name for name in before if "not_after_seconds" in name]
        self.assertEqual(len(ends), 1, ends)

        time.sleep(1.1)  # a later second
        lineage.renew("renewed2", key="renewed1")
        bad = self.wait_for(
            running, tls_reload_failures_total=1, tls_last_reload_successful=0
        )
        self.assertEqual(bad["tlspost_tls_reloads_total"], 0)
        self.assertGreater(
            bad["tlspost_tls_last_reload_timestamp_seconds"], began
        )
        self.assertEqual(bad[ends[0]], before[ends[0]])
        time.sleep(1)
        self.assertEqual(
            len(re.findall(tlscase.KEPT, running.log())), 1, running.log()
        )
        self.assertEqual(
            self.metrics(running)["tlspost_tls_reload_failures_total"], 1
        )

        lineage.renew("renewed2")
        self.wait_for(
            running,
            tls_reloads_total=1,
            tls_reload_failures_total=1,
            tls_last_reload_successful=1,
        )
        self.assert_shows(self.tls_client(running), "renewed2")

    def test_what_happens_is_counted(self):
        running = self.start_watched(workers=2)
        self.wait_for(running, backend_up=1, workers=2, workers_silent=0)
        start = self.metrics(running)
        clients = [self.tls_client(running) for _ in range(5)]
        for client in clients:
            self.assert_delivers(client)
        seen = self.metrics(running)
        for name, more in (
            ("sessions", 5),
            ("handshakes", 5),
            ("messages", 5),
            ("leases", 5),
        ):
            name = "tlspost_%s_total" % name
            self.assertEqual(seen[name] - start[name], more, name)
        self.assertEqual(seen["tlspost_client_sessions"], 5)
        self.assertGreaterEqual(seen["tlspost_backend_connections"], 1)
        self.assertGreaterEqual(seen["tlspost_backend_connections_idle"], 1)
        self.assertEqual(seen["tlspost_backend_waiting"], 0)
        for client in clients:
            client.close()
        self.wait_for(running, client_sessions=0)

    def test_promtool_has_nothing_to_say(self):
        path, environment = promtool()
        running = self.start_watched()
        self.assert_delivers(self.tls_client(running))
        text = get(running.admin_port, "/metrics")[2]
        checked = subprocess.run(
            [path, "check", "metrics"],
            input=text,
            text=True,
            capture_output=True,
            env=environment,
            timeout=60,
            check=False,
        )
        self.assertEqual(
            (checked.returncode, checked.stdout, checked.stderr), (0, "", "")
        )

    def test_promtool_agrees_with_the_alerts(self):
        path, environment = promtool()
        checked = subprocess.run(
            [path, "check", "rules", _RULES],
            text=True,
            capture_output=True,
            env=environment,
            timeout=60,
            check=False,
        )
        self.assertEqual(
            checked.returncode, 0, checked.stdout + checked.stderr
        )
        self.assertRegex(checked.stdout, r"SUCCESS: 1\d rules found")

    def test_labels_say_what_happened(self):
        running = self.start_watched(workers=2, recipient_limit=1)
        client = self.tls_client(running)
        self.assert_delivers(client)
        self.assert_reply(client.command("MAIL FROM:<a@client.test>"), 250)
        self.assert_reply(client.command("RCPT TO:<b@client.test>"), 250)
        self.assert_reply(client.command("RCPT TO:<c@client.test>"), 452)
        plain = self.plain_session(running)
        self.assert_delivers(plain)
        seen = self.metrics(running)
        for name, value in (
            ('handshake_versions_total{version="TLSv1.3"}', 1),
            ('messages_by_tls_total{tls="TLSv1.3"}', 1),
            ('messages_by_tls_total{tls="none"}', 1),
            ('limits_hit_total{limit="recipient_limit"}', 1),
            ('client_commands_total{command="rcpt",result="refused"}', 1),
            ('client_commands_total{command="rcpt",result="ok"}', 3),
            ('client_replies_total{class="3xx"}', 2),
            ('client_replies_total{class="4xx"}', 1),
            ('backend_replies_total{command="message",class="2xx"}', 2),
            ('backend_replies_total{command="mail",class="2xx"}', 3),
            ('phase_seconds_count{phase="handshake"}', 1),
            ('phase_seconds_count{phase="message"}', 2),
            ('phase_seconds_bucket{phase="message",le="+Inf"}', 2),
            ("transactions_total", 3),
            ("message_recipients_total", 2),
            ('io_engine{engine="%s"}' % (self.engine or "io_uring"), 1),
        ):
            self.assertEqual(seen["tlspost_" + name], value, name)
        octets = seen["tlspost_message_octets_total"]
        self.assertGreater(octets, 2 * len("Subject: still alive"))
        ups = [
            value
            for name, value in seen.items()
            if name.startswith("tlspost_backend_target_up{backend=")
        ]
        self.assertEqual(ups, [1])

    def test_prometheus_scrapes_it(self):
        try:
            path, environment = debian.program("prometheus")
        except util.Skip as reason:
            raise unittest.SkipTest(str(reason)) from None
        running = self.start_watched(workers=2)
        self.assert_delivers(self.tls_client(running))
        port, folder = util.free_port(), self.folder()
        config = self.file(
            "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
            "rule_files: [%s]\n"
            "scrape_configs:\n"
            "  - job_name: tlspost\n"
            '    static_configs: [{targets: ["127.0.0.1:%d"]}]\n'
            % (json.dumps(_RULES), running.admin_port),
            ".yml",
        )
        server = subprocess.Popen(
            [
                path,
                "--config.file=" + config,
                "--storage.tsdb.path=" + folder,
                "--web.listen-address=127.0.0.1:%d" % port,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        self.addCleanup(server.wait, 30)
        self.addCleanup(server.terminate)

        def ask(path, **parameters):
            query = urllib.parse.urlencode(parameters)
            try:
                status, _, text = get(port, "/api/v1/%s?%s" % (path, query))
            except OSError:
                return None
            return json.loads(text)["data"] if status == 200 else None

        def value(query):
            data = ask("query", query=query)
            found = data["result"] if data else []
            return float(found[0]["value"][1]) if found else None

        for query, wanted in (
            ('up{job="tlspost"}', 1),
            ("tlspost_messages_total", 1),
            ('sum(tlspost_handshake_versions_total)', 1),
            (
                'histogram_quantile(1, tlspost_phase_seconds_bucket'
                '{phase="message"}) > bool 0',
                1,
            ),
        ):
            util.wait_until(
                lambda query=query, wanted=wanted: value(query) == wanted,
                60,
                lambda query=query: "%s: %s" % (query, value(query)),
            )
        (group,) = ask("rules")["groups"]
        util.wait_until(
            lambda: all(
                rule["health"] == "ok"
                for rule in ask("rules")["groups"][0]["rules"]
            ),
            60,
            lambda: ask("rules"),
        )
        self.assertEqual(group["name"], "tlspost")

    def test_ready_when_the_backend_is(self):
        backend = util.free_port()
        port, admin = util.free_port(), util.free_port()
        settings = proxy.settings_for(
            port,
            "127.0.0.1:%d" % backend,
            self.certificates,
            admin_listen="127.0.0.1:%d" % admin,
            backend_backoff_max="500ms",
        )
        running = self.launch(proxy.options(settings), port)
        running.admin_port = admin
        self.assert_page(running, "/readyz", 503, "backend down\n")
        self.assert_page(running, "/healthz", 200, "ok\n")
        self.assertEqual(self.metrics(running)["tlspost_backend_up"], 0)
        with socket.create_server(("127.0.0.1", backend)) as listener:
            held = []
            listener.settimeout(10)
            for _ in range(2):
                peer = listener.accept()[0]
                held.append(peer)
                peer.sendall(b"220 x ESMTP\r\n")
                peer.recv(1000)
                peer.sendall(b"250 x\r\n")
            self.wait_for_page(running, "/readyz", 200, "ready\n")
            for peer in held:
                peer.close()
        self.wait_for_page(running, "/readyz", 503, "backend down\n")

    def test_a_drain_is_seen_to_its_end(self):
        running = self.start_watched()
        client = self.tls_client(running)
        self.assert_reply(client.command("MAIL FROM:<a@client.test>"), 250)
        self.wait_for_page(running, "/readyz", 200, "ready\n")
        running.process.send_signal(signal.SIGTERM)
        self.wait_for_page(running, "/readyz", 503, "draining\n")
        self.assert_page(running, "/healthz", 200, "ok\n")
        self.assertEqual(self.metrics(running)["tlspost_draining"], 1)
        # A connection of the administrator's does not hold it up.
        with socket.create_connection(("127.0.0.1", running.admin_port)):
            client.close()
            self.assertEqual(running.wait(10), 0)
        with self.assertRaises(OSError):
            get(running.admin_port, "/metrics")

    def test_scrapes_beside_traffic(self):
        running = self.start_watched(workers=2)
        last = 0
        for _ in range(30):
            with smtpclient.session(
                running.port, self.certificates.trust(), "client.test"
            ):
                seen = self.metrics(running)
            self.assertGreater(seen["tlspost_sessions_total"], last)
            last = seen["tlspost_sessions_total"]

    def test_off_unless_asked_for(self):
        running = self.start_proxy()
        self.assertNotIn("metrics on", running.log())


class AdminListenTest(case.Case):
    def refuses(self, *words, **changes):
        settings = proxy.settings_for(
            0, "127.0.0.1:1", self.certificates, **changes
        )
        result = proxy.run(*proxy.options(settings))
        self.assertGreater(result.returncode, 0, result.stderr)
        lines = result.stderr.strip().splitlines()
        self.assertEqual(len(lines), 1, result.stderr)
        for word in words:
            self.assertIn(word, lines[0])

    def test_other_machines_must_be_asked_for(self):
        for address in ("0.0.0.0:0", "[::]:0"):
            with self.subTest(address):
                self.refuses(
                    "admin_listen", "admin_allow_remote", admin_listen=address
                )

    def test_and_then_are_let_in(self):
        port = util.free_port()
        running = self.start_proxy(
            "127.0.0.1:1",
            admin_listen="0.0.0.0:%d" % port,
            admin_allow_remote="yes",
        )
        running.wait_for_log("metrics on http://0.0.0.0:%d/metrics" % port)
        self.assertEqual(get(port, "/healthz")[0], 200)

    def test_a_busy_port_is_named(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = "127.0.0.1:%d" % taken.getsockname()[1]
            self.refuses(
                "admin_listen", address, "ss -ltnp", admin_listen=address
            )

    def test_what_is_no_address(self):
        for value in ("9925", "unix:/run/tlspost", "127.0.0.1:99999"):
            with self.subTest(value):
                self.refuses("admin_listen", admin_listen=value)
