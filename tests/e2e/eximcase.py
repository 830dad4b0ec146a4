"""What the tests before a real Exim share."""

import case
import exim
import proxy
import smtpclient
import util


class EximCase(case.Case):
    """A test with an Exim of its own behind tlspost."""

    settings = ""  # further lines of Exim's main section
    most_connections = 200

    def setUp(self):
        super().setUp()
        try:
            self.exim = exim.Exim(
                self.certificates,
                self.settings,
                most_connections=self.most_connections,
            )
        except util.Skip as reason:
            self.skipTest(str(reason))
        self.addCleanup(self._close_exim)
        self.exim.start()

    def tearDown(self):
        super().tearDown()
        # We never talk before our turn, whatever else happens.
        self.assertNotIn("synchronization", self.exim.log())

    def _close_exim(self):
        self._exim_log = self.exim.log()
        self.exim.close()

    def logs(self):
        return super().logs() + [("Exim", getattr(self, "_exim_log", ""))]

    def start_proxy(self, port="plain", **changes):
        """One worker, which knows what Exim offers."""
        changes.setdefault("workers", 1)
        running = super().start_proxy(self.exim.backend(port), **changes)
        with smtpclient.Client(running.port) as client:

            def known():
                client.ehlo("client.test")
                return "8BITMIME" in client.extensions

            util.wait_until(known, 10, "EHLO with what Exim offers")
            client.quit()
        return running

    def only_message(self):
        messages = self.exim.messages()
        self.assertEqual(
            len(messages), 1, [message.sender for message in messages]
        )
        return messages[0]

    def assert_content(self, message, content):
        """Below Exim's and our Received the message is content (CRLF)."""
        self.assertIn("by exim.test with ", message.received(0))
        self.assertIn("by %s (" % proxy.HOSTNAME, message.received(1))
        top = len("".join(message.received(n) for n in range(2)).encode())
        self.assertEqual(
            message.content[top:], content.replace(b"\r\n", b"\n")
        )

    def assert_delivers(self, client, sender="again@sender.test"):
        """The session still delivers; for after something went wrong."""
        before = set(self.exim.queue_ids())
        content = b"Subject: still alive\r\n\r\nYes.\r\n"
        client.deliver(sender, ["again@recipient.test"], content)
        new = [
            message
            for message in self.exim.messages()
            if message.queue_id not in before
        ]
        self.assertEqual([message.sender for message in new], [sender])
        self.assert_content(new[0], content)

    def connections(self):
        """How many connections of tlspost have brought mail to Exim so far."""
        return len(
            {
                message.attributes["host_address"]
                for message in self.exim.messages()
            }
        )
