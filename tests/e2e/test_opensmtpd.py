"""A real OpenSMTPD as the backend, which passes the mail on to Postfix.

It has no PIPELINING and no XCLIENT; the PROXY protocol it has.
"""

import case
import opensmtpd
import proxy
import smtpclient
import util

_CONTENT = (
    b"Subject: to OpenSMTPD\r\nX-Folded: one\r\n\ttwo\r\n"
    b"Date: Fri, 27 Nov 2026 12:00:00 +0000\r\nMessage-Id: <1@sender.test>\r\n"
    b"\r\n.\r\n..\r\n.dot\r\n\r\n" + b"x" * 900 + b"\r\nno dot\r\n\r\n"
)


class OpenSmtpdTest(case.PostfixCase):
    def setUp(self):
        super().setUp()
        try:
            self.server = opensmtpd.OpenSmtpd(self.postfix.backend("plain"))
        except util.Skip as reason:
            self.skipTest(str(reason))
        self._server_log = ""
        self.addCleanup(self._close)
        self.server.start()

    def _close(self):
        self._server_log = self.server.log()
        self.server.close()

    def logs(self):
        return super().logs() + [
            ("OpenSMTPD", getattr(self, "_server_log", ""))
        ]

    def start(self, port="plain", **changes):
        running = case.Case.start_proxy(
            self, self.server.backend(port), workers=1, **changes
        )
        with smtpclient.Client(running.port) as client:

            def known():
                client.ehlo("client.test")
                return "8BITMIME" in client.extensions

            util.wait_until(known, 10, "EHLO with what OpenSMTPD offers")
            client.quit()
        return running

    def arrived(self, count):
        """The messages, when so many have got through to Postfix."""

        def all_there():
            messages = self.postfix.messages()
            return messages if len(messages) >= count else None

        messages = util.wait_until(
            all_there, 30, lambda: "%d messages in Postfix" % count
        )
        self.assertEqual(len(messages), count)
        return messages

    def assert_content(self, message, content):
        """Below Postfix's, OpenSMTPD's and our Received it is content."""
        self.assertIn("by opensmtpd.test (OpenSMTPD)", message.received(1))
        self.assertIn("by %s (" % proxy.HOSTNAME, message.received(2))
        self.assertEqual(message.below(3), content.replace(b"\r\n", b"\n"))

    def test_E059_groups_for_a_backend_without_pipelining(self):
        client = self.tls_session(self.start())
        # Ours it is: the groups are taken apart for OpenSMTPD, who would
        # answer any two commands in one segment with 500.
        for _ in range(2):
            client.send(
                b"MAIL FROM:<a@sender.test>\r\nRCPT TO:<one@r.test>\r\n"
                b"RCPT TO:<refused@r.test>\r\nRCPT TO:<two@r.test>\r\nDATA\r\n"
            )
            self.assertEqual(
                [reply.code for reply in client.replies(5)],
                [250, 250, 550, 250, 354],
            )
            client.send(smtpclient.dot_stuff(_CONTENT) + b".\r\nNOOP\r\n")
            self.assertEqual(
                [reply.code for reply in client.replies(2)], [250, 250]
            )
        self.assertNotIn("Pipelining not supported", self.server.log())
        messages = [
            message
            for message in self.arrived(2)
            if message.recipients == ["one@r.test", "two@r.test"]
        ]
        for message in messages:
            self.assert_content(message, _CONTENT)

    def test_tls_versions(self):
        running = self.start()
        for version in ("TLSv1.2", "TLSv1.3"):
            with self.subTest(version):
                self.postfix.clear()
                client = self.tls_session(running, version=version)
                client.deliver("a@sender.test", ["b@r.test"], _CONTENT)
                message = self.arrived(1)[0]
                self.assert_content(message, _CONTENT)
                self.assert_received(
                    message.received(2),
                    "client.test",
                    "127.0.0.1",
                    "ESMTPS",
                    "b@r.test",
                    (version, client.tls.cipher()[0]),
                )

    def test_proxy_protocol(self):
        """Version 2, the only way to tell OpenSMTPD of the client."""
        running = self.start("proxy", backend_identity="proxy")
        for number in range(3):
            client = self.tls_session(
                running,
                "c%d.test" % number,
                source="127.0.0.%d" % (10 + number),
            )
            for mail in range(2):
                client.deliver(
                    "m%d@c%d.test" % (mail, number), ["r@r.test"], _CONTENT
                )
        for message in self.arrived(6):
            number = int(message.sender[4])
            self.assertRegex(
                message.received(1),
                r"^Received: from c%d\.test \(.*\[127\.0\.0\.%d\]\)\n"
                % (number, 10 + number),
            )
            self.assert_content(message, _CONTENT)

    def test_two_on_one_connection(self):
        running = self.start(backend_warm_spares=0)
        clients = [
            self.tls_session(running, "c%d.test" % number)
            for number in range(2)
        ]
        for turn in range(2):
            for number, client in enumerate(clients):
                client.deliver(
                    "m%d@c%d.test" % (turn, number), ["r@r.test"], _CONTENT
                )
        for message in self.arrived(4):
            self.assert_content(message, _CONTENT)
            self.assertIn(
                "from %s (" % message.sender.partition("@")[2],
                message.received(2),
            )
            self.assertNotIn(".test (localhost", message.received(1)[:30])
        running.wait_for_log("offers no XCLIENT")
