"""What an administrator sees of a running tlspost beside its numbers: the
status page in a browser, /sessions, /pools, /tls-report and `tlspost report`."""

import json
import os
import re
import unittest

import browser
import proxy
import smtpclient
import test_metrics
import tlscase
import util

# What a client says to get a script of its own into the page. No blanks: a
# HELO name has none.
HOSTILE = "<img/src=x/onerror=document.title=1>"


class StatusCase(test_metrics.WatchedCase):
    """Proxies with admin_listen, and their documents."""

    def document(self, running, path):
        status, kind, text = test_metrics.get(running.admin_port, path)
        self.assertEqual(status, 200, text)
        self.assertEqual(kind, "application/json; charset=utf-8")
        return json.loads(text)

    def report(self, running, *more):
        """What `tlspost report` prints."""
        result = proxy.run(
            "report", *proxy.options(running.settings_for_report), *more
        )
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def start_watched(self, listener="reuse", **changes):
        running = super().start_watched(listener, **changes)
        running.settings_for_report = {
            "backend": "127.0.0.1:1",
            "admin_listen": "127.0.0.1:%d" % running.admin_port,
        }
        return running

    def deliver_plain(self, running, name):
        client = smtpclient.Client(running.port)
        self.clients.append(client)
        client.ehlo(name)
        self.assert_delivers(client)
        client.quit()
        client.close()

    def wait_for_senders(self, running, count):
        """The TLS report once it knows so many senders: they have left."""
        return util.wait_until(
            lambda: self.known_senders(running, count),
            10,
            lambda: self.document(running, "/tls-report"),
        )

    def known_senders(self, running, count):
        report = self.document(running, "/tls-report")
        return report if report["senders_known"] >= count else None


class TlsReportTest(StatusCase):
    def test_who_is_without_tls_and_what_a_stricter_setting_costs(self):
        running = self.start_watched(workers=2)
        for name in ("plain1.test", "plain1.test", "plain2.test"):
            self.deliver_plain(running, name)
        client = self.tls_client(running)
        self.assert_delivers(client)
        client.quit()
        client.close()
        report = self.wait_for_senders(running, 3)
        senders = {each["helo"]: each for each in report["senders"]}
        self.assertEqual(
            set(senders), {"plain1.test", "plain2.test", "client.test"}
        )
        plain = senders["plain1.test"]
        self.assertEqual(plain["network"], "127.0.0.0/24")
        self.assertEqual(plain["messages"]["none"], 2)
        self.assertTrue(plain["weak"])
        self.assertEqual(senders["client.test"]["messages"]["TLSv1.3"], 1)
        self.assertFalse(senders["client.test"]["weak"])
        self.assertEqual(report["messages"]["none"], 3)
        encrypt, floor12, floor13 = report["what_if"]
        self.assertEqual(encrypt["setting"], "tls_security_level = encrypt")
        for row in (encrypt, floor12, floor13):
            self.assertEqual(row["messages_refused"], 3)
            self.assertEqual((row["senders"], row["senders_cut_off"]), (2, 2))

        text = self.report(running)
        self.assertIn("4 messages from 3 senders, 3 of them without TLS", text)
        self.assertRegex(text, r"\n127\.0\.0\.0/24 +plain1\.test +\d{4}-")
        self.assertNotIn("client.test", text)
        self.assertRegex(
            text, r"tls_security_level = encrypt +3 of 4, from 2 senders"
        )
        printed = json.loads(self.report(running, "--json"))
        self.assertEqual(printed["senders"], report["senders"])

    def test_an_old_client_is_named_by_what_it_said_before_starttls(self):
        running = self.start_watched()
        context = tlscase.insecure(self.certificates.trust(), "TLSv1")
        context.check_hostname = False
        client = smtpclient.Client(running.port)
        self.clients.append(client)
        client.ehlo("old.test")
        with self.assertRaises(OSError):
            client.starttls(context)
        client.close()
        report = self.wait_for_senders(running, 1)
        (sender,) = report["senders"]
        self.assertEqual(sender["helo"], "old.test")
        self.assertEqual(sender["failed_handshakes"], 1)
        self.wait_for(
            running,
            **{
                'handshake_failures_total{reason="unsupported_protocol"}': 1,
                'tls_alerts_total{direction="sent",alert="protocol_version"}': 1,
            },
        )
        self.assertRegex(self.report(running), r"old\.test .* 1\n")

    def test_report_without_a_running_tlspost(self):
        port = util.free_port()
        for settings, words in (
            ({}, "admin_listen is not set"),
            (
                {"admin_listen": "127.0.0.1:%d" % port},
                "127.0.0.1:%d (admin_listen) does not answer" % port,
            ),
        ):
            with self.subTest(words):
                result = proxy.run(
                    "report",
                    *proxy.options(dict(settings, backend="127.0.0.1:1")),
                )
                self.assertEqual(result.returncode, 1)
                self.assertEqual(result.stdout, "")
                self.assertIn(words, result.stderr)
                self.assertEqual(len(result.stderr.splitlines()), 1)


class SessionsTest(StatusCase):
    def test_sessions_and_pools(self):
        running = self.start_watched(workers=2)
        self.wait_for(running, backend_up=1)
        self.assertEqual(
            self.document(running, "/sessions"),
            {"open": 0, "listed": 0, "sessions": []},
        )
        clients = [self.tls_client(running) for _ in range(3)]
        self.assert_delivers(clients[0])
        plain = smtpclient.Client(running.port)
        self.clients.append(plain)
        plain.ehlo(HOSTILE.replace("=", "-"))
        self.assert_reply(clients[1].command("MAIL FROM:<a@x.test>"), 250)
        listed = self.document(running, "/sessions")
        self.assertEqual((listed["open"], listed["listed"]), (4, 4))
        by_port = {
            int(each["client"].rsplit(":", 1)[1]): each
            for each in listed["sessions"]
        }
        first = by_port[clients[0].socket.getsockname()[1]]
        self.assertEqual(first["helo"], "client.test")
        self.assertEqual(first["state"], "idle")
        self.assertEqual(first["tls"], "TLSv1.3")
        self.assertEqual((first["transactions"], first["messages"]), (1, 1))
        second = by_port[clients[1].socket.getsockname()[1]]
        self.assertEqual(
            (second["state"], second["command"]), ("command", "MAIL")
        )
        self.assertEqual(by_port[plain.socket.getsockname()[1]]["tls"], "none")

        pools = self.document(running, "/pools")
        self.assertEqual(len(pools["workers"]), 2)
        lent = sum(
            target["lent"]
            for worker in pools["workers"]
            for target in worker["targets"]
        )
        self.assertEqual(lent, 1)
        self.assertEqual(
            pools["backend_connections"],
            sum(worker["open"] for worker in pools["workers"]),
        )
        # A worker that has no client may not have reached it.
        self.assertIn(
            True,
            [
                target["up"]
                for worker in pools["workers"]
                for target in worker["targets"]
            ],
        )


class PageTest(StatusCase):
    def start_browser(self):
        try:
            window = browser.Browser()
        except util.Skip as reason:
            raise unittest.SkipTest(str(reason)) from None
        self.addCleanup(window.close)
        return window

    def show(self, window, running):
        window.open("http://127.0.0.1:%d/" % running.admin_port)
        window.wait_for(
            "document.readyState === 'complete' &&"
            " document.body.dataset.shown !== undefined"
        )

    def start_with_traffic(self):
        """What a page looks like that has something to show."""
        running = self.start_watched(workers=2)
        self.wait_for(running, backend_up=1)
        self.deliver_plain(running, "printer.test")
        client = smtpclient.Client(running.port)
        self.clients.append(client)
        client.send(b"EHLO " + HOSTILE.encode() + b"\r\n")
        client.reply()
        client.ehlo("[<b>hostile</b>]")
        client.command("RCPT TO:<early@client.test>")
        client.command(HOSTILE)
        self.assert_reply(client.command("MAIL FROM:<a@client.test>"), 250)
        client.command('RCPT TO:<"%s"@nowhere.test>' % HOSTILE)
        client.quit()
        client.close()
        client = self.tls_client(running)
        self.assert_delivers(client)
        self.wait_for_senders(running, 2)
        return running

    def test_in_a_browser(self):
        window = self.start_browser()
        running = self.start_with_traffic()
        folder = os.environ.get("TLSPOST_SCREENSHOTS") or self.folder()
        for name, width, height, dark, phone in (
            ("desktop", 1200, 900, False, False),
            ("phone", 360, 740, False, True),
            ("dark", 1200, 900, True, False),
        ):
            with self.subTest(name):
                window.look(width, height, dark, phone)
                self.show(window, running)
                self.check_page(window, running)
                # Nothing is wider than the window.
                self.assertEqual(
                    window.evaluate("document.documentElement.scrollWidth"),
                    width,
                )
                ground = window.evaluate(
                    "getComputedStyle(document.body).backgroundColor"
                )
                brightness = sum(map(int, re.findall(r"\d+", ground)))
                self.assertEqual(brightness < 3 * 128, dark, ground)
                window.screenshot(os.path.join(folder, name + ".png"))
        self.assertEqual(window.console, [])
        self.assertEqual(
            {address.split("/", 3)[2] for address in window.requests},
            {"127.0.0.1:%d" % running.admin_port},
        )

    def check_page(self, window, running):
        text = window.evaluate("document.body.innerText")
        for words in (
            "ready",
            proxy.HOSTNAME,
            "TLSv1.3",
            "printer.test",
            "need MAIL command",
            "tls_security_level = encrypt",
        ):
            self.assertIn(words, text)
        # The certificate that is served, and its days.
        self.assertRegex(text, r"RSA\s[\s\S]*\d{4}-\d\d-\d\d")
        # What clients said is text, whatever it looks like.
        self.assertIn("[<b>hostile</b>]", text)
        self.assertEqual(
            window.evaluate("document.querySelectorAll('img, b i, td b').length"),
            0,
        )
        self.assertEqual(window.evaluate("document.title"), "tlspost")

    def test_it_refreshes_by_itself(self):
        window = self.start_browser()
        running = self.start_watched(workers=2)
        self.wait_for(running, backend_up=1)
        window.look(1200, 900)
        self.show(window, running)
        self.assertEqual(
            window.evaluate("document.getElementById('clients').textContent"),
            "0",
        )
        client = self.tls_client(running)
        window.wait_for(
            "document.getElementById('clients').textContent === '1'"
        )
        client.close()
        running.stop()
        window.wait_for("document.body.classList.contains('stale')")

    def test_no_foreign_script_may_run(self):
        running = self.start_watched()
        policy = test_metrics.header(
            running.admin_port, "/", "Content-Security-Policy"
        )
        self.assertIn("default-src 'none'", policy)
        self.assertIn("script-src 'self'", policy)
        self.assertNotIn("unsafe", policy)
        page = test_metrics.get(running.admin_port, "/")
        self.assertEqual(page[:2], (200, "text/html; charset=utf-8"))
        # No address of another host, nothing inline.
        for path in ("/", "/status.css", "/status.js"):
            text = test_metrics.get(running.admin_port, path)[2]
            self.assertNotIn("https://", text)
            self.assertNotIn("innerHTML", text)
            self.assertNotRegex(text, r"<script(?! src=)|\son\w+=|style=")
