"""Clients' names: asked of DNS, confirmed, said to log, header and backend."""

import time

import dnsserver
import smtpclient
import tlscase

_NAMED = "127.0.9.1"
_UNCONFIRMED = "127.0.9.2"
_NAMELESS = "127.0.9.3"
_SILENT = "127.0.9.4"
_HOSTILE = "127.0.9.5"
_HALF_SILENT = "127.0.9.6"

_REVERSE = {
    _NAMED: "mail.example.test",
    _UNCONFIRMED: "liar.example.test",
    _SILENT: None,
    _HOSTILE: "evil[192.0.2.1] x",
    _HALF_SILENT: "half.example.test",
}
_FORWARD = {
    "mail.example.test": ["192.0.2.1", _NAMED],
    "liar.example.test": ["192.0.2.1"],
    "half.example.test": None,
}


class ClientNameTest(tlscase.TlsCase):
    def start_proxy(self, **changes):
        self.dns = dnsserver.DnsServer(_REVERSE, _FORWARD)
        self.addCleanup(self.dns.close)
        changes.setdefault("client_name_timeout", "1s")
        return super().start_proxy(
            peername_lookup="yes", dns_servers=self.dns.address, **changes
        )

    def received_from(self, running, source):
        """Our header over a mail of a client from there."""
        self.postfix.clear()
        client = self.plain_session(running, source=source)
        client.deliver("a@sender.test", ["b@recipient.test"], tlscase.BODY)
        client.quit()
        return self.only_message().received(1)

    def test_confirmed(self):
        running = self.start_proxy()
        header = self.received_from(running, _NAMED)
        self.assertIn("(mail.example.test [%s])" % _NAMED, header)
        running.wait_for_log(
            r"connect from mail\.example\.test\[127\.0\.9\.1\]"
        )
        running.wait_for_log(r"client=mail\.example\.test\[127\.0\.9\.1\]")
        # Postfix was told by XCLIENT.
        self.assertIn("mail.example.test[%s]" % _NAMED, self.postfix_log())

    def test_unconfirmed_and_none(self):
        running = self.start_proxy()
        for source in (_UNCONFIRMED, _NAMELESS, _HOSTILE):
            with self.subTest(source):
                header = self.received_from(running, source)
                self.assertIn("(unknown [%s])" % source, header)
                running.wait_for_log(
                    r"connect from unknown\[%s\]" % source.replace(".", r"\.")
                )
        self.assertNotIn("evil", running.log())

    def test_the_question_is_asked_once(self):
        running = self.start_proxy(workers=1)
        for _ in range(5):
            self.received_from(running, _NAMED)
        asked = [name for name, _ in self.dns.questions]
        self.assertEqual(asked.count("1.9.0.127.in-addr.arpa"), 1)

    def test_a_dns_that_is_silent_delays_no_longer_than_the_limit(self):
        running = self.start_proxy(client_name_timeout="400ms")
        for source in (_SILENT, _HALF_SILENT):
            started = time.monotonic()
            client = smtpclient.Client(running.port, source=source)
            self.clients.append(client)
            took = time.monotonic() - started
            self.assertGreater(took, 0.35)
            self.assertLess(took, 2)
            self.assert_reply(client.greeting, 220)

    def test_many_at_once(self):
        running = self.start_proxy()
        clients = [
            smtpclient.Client(
                running.port, source="127.0.10.%d" % (1 + n), greet=False
            )
            for n in range(100)
        ]
        self.clients += clients
        for client in clients:
            self.assert_reply(client.reply(), 220)

    def test_a_drain_does_not_wait_for_dns(self):
        running = self.start_proxy(client_name_timeout="20s")
        self.clients.append(
            smtpclient.Client(running.port, source=_SILENT, greet=False)
        )
        time.sleep(0.2)
        started = time.monotonic()
        running.stop()
        self.assertLess(time.monotonic() - started, 5)

    def test_servers_that_are_none(self):
        self.assert_refuses_to_start(
            "dns_servers", "nonsense", peername_lookup="yes",
            dns_servers="nonsense",
        )
