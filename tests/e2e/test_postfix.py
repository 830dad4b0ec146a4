"""The harness alone: Postfix behaves as the other tests assume.

Each of these is a fact that a test elsewhere leans on; should a newer Postfix
behave differently, it shows here first.
"""

import case
import smtpclient

_CONTENT = (
    b"Subject: \xc3\xa9t\xc3\xa9\r\n"
    b"X-Long: " + b"l" * 900 + b"\r\n"
    b"\r\n"
    b".a dot\r\n..two\r\n.\r\n \t \r\n\r\n"
    + b"w" * 5000
    + b"\r\n\xff\x00\x80\r\nlast\r\n"
)


class PostfixTest(case.PostfixCase):
    needs_proxy = False

    def direct(self, listener, name="direct.test"):
        client = smtpclient.session(self.postfix.ports[listener], None, name)
        self.clients.append(client)
        return client

    def xclient(self, client, number):
        """Takes the identity of an invented client; the reply."""
        return client.command(
            "XCLIENT HELO=helo%d.test PROTO=ESMTP PORT=%d "
            "REVERSE_NAME=[UNAVAILABLE] LOGIN=[UNAVAILABLE] "
            "NAME=[UNAVAILABLE] ADDR=192.0.2.%d"
            % (number, 2000 + number, number)
        )

    def test_queue_file_is_read_byte_for_byte(self):
        client = self.direct("reuse")
        client.deliver(
            "a@sender.test", ["b@recipient.test", "c@recipient.test"], _CONTENT
        )
        client.quit()
        message = self.only_message()
        self.assertEqual(message.sender, "a@sender.test")
        self.assertEqual(
            message.recipients, ["b@recipient.test", "c@recipient.test"]
        )
        self.assertEqual(message.client, "unknown[127.0.0.1]")
        self.assertEqual(message.helo, "direct.test")
        self.assertEqual(message.received_count(), 1)
        self.assertEqual(message.below(1), _CONTENT.replace(b"\r\n", b"\n"))
        self.assertEqual(
            self.postfix.postcat("-bh", "-q", message.queue_id),
            message.content,
        )

    def test_reuse_listener_takes_xclient_again_and_again(self):
        client = self.direct("reuse")
        for number in (1, 2, 3):
            self.assert_reply(self.xclient(client, number), 220)
            client.deliver(
                "s%d@sender.test" % number, ["r@recipient.test"], _CONTENT
            )
        self.assertEqual(
            sorted(
                (message.sender, message.client, message.helo)
                for message in self.postfix.messages()
            ),
            [
                (
                    "s%d@sender.test" % number,
                    "unknown[192.0.2.%d]" % number,
                    "helo%d.test" % number,
                )
                for number in (1, 2, 3)
            ],
        )

    def test_single_listener_takes_one_xclient_and_keeps_that_identity(self):
        client = self.direct("single")
        self.assert_reply(self.xclient(client, 1), 220)
        self.assertNotIn("XCLIENT", client.ehlo("again.test").text)
        self.assert_reply(self.xclient(client, 2), 550)
        # The danger: it takes the mail, as if the first client had sent it.
        client.deliver("s2@sender.test", ["r@recipient.test"], _CONTENT)
        self.assertEqual(self.only_message().client, "unknown[192.0.2.1]")

    def test_plain_listener_takes_no_xclient(self):
        client = self.direct("plain")
        self.assertNotIn("XCLIENT", client.extensions)
        self.assertIn(self.xclient(client, 1).code, (502, 503, 550))

    def test_xclient_sent_ahead_is_refused(self):
        client = self.direct("reuse")
        client.send(
            b"XCLIENT HELO=a.test PROTO=ESMTP ADDR=192.0.2.1\r\n"
            b"MAIL FROM:<a@sender.test>\r\n"
        )
        self.assert_reply(client.reply(), 554)

    def test_recipients_decide_what_happens(self):
        client = self.direct("reuse")
        self.assert_reply(client.command("MAIL FROM:<a@sender.test>"), 250)
        self.assert_reply(
            client.command("RCPT TO:<refused@recipient.test>"), 550
        )
        self.assert_reply(
            client.command("RCPT TO:<later@recipient.test>"), 450
        )
        self.assert_reply(client.command("DATA"), 554)
        self.assertEqual(self.postfix.messages(), [])

    def test_bare_newlines_are_smuggled_when_nobody_protects(self):
        client = self.direct("plain")
        client.envelope("a@sender.test", ["b@recipient.test"])
        self.assert_reply(client.command("DATA"), 354)
        client.send(
            b"Subject: one\n\nfirst\n.\nMAIL FROM:<evil@sender.test>\n"
            b"RCPT TO:<smuggled@recipient.test>\nDATA\n"
            b"Subject: two\n\nsecond\n.\n"
        )
        client.send(b"QUIT\r\n")
        client.rest()
        # So a clean queue in test_smuggling.py is tlspost's doing.
        self.assertEqual(
            sorted(message.recipients for message in self.postfix.messages()),
            [["b@recipient.test"], ["smuggled@recipient.test"]],
        )

    def test_restart_keeps_the_queue(self):
        client = self.direct("reuse")
        client.deliver("a@sender.test", ["b@recipient.test"], _CONTENT)
        self.postfix.stop()
        with self.assertRaises(OSError):
            smtpclient.Client(self.postfix.ports["reuse"])
        self.postfix.start()
        self.direct("reuse").deliver(
            "c@sender.test", ["d@recipient.test"], _CONTENT
        )
        self.assertEqual(
            sorted(message.sender for message in self.postfix.messages()),
            ["a@sender.test", "c@sender.test"],
        )
