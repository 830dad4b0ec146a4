"""Only CRLF "." CRLF ends a message, whatever the backend would take.

The backend is as permissive as Postfix can be made; test_postfix.py shows that
without tlspost a second message comes out of this.
"""

import case

# None of these ends a message; each is followed by a whole transaction.
_FAKE_ENDS = {
    "LF . LF": b"\n.\n",
    "LF . CRLF": b"\n.\r\n",
    "CRLF . LF": b"\r\n.\n",
    "CR . CR": b"\r.\r",
    "CR . CRLF": b"\r.\r\n",
    "CRLF . CR": b"\r\n.\r",
    "CR . LF": b"\r.\n",
    "LF . CR": b"\n.\r",
    "LF . CR CR LF": b"\n.\r\r\n",
    "CRLF . CR CR LF": b"\r\n.\r\r\n",
    "CRLF NUL . CRLF": b"\r\n\0.\r\n",
    "CRLF . NUL CRLF": b"\r\n.\0\r\n",
    "CR NUL LF . CRLF": b"\r\0\n.\r\n",
    "LF LF . LF LF": b"\n\n.\n\n",
}

_SMUGGLED = (
    b"MAIL FROM:<evil@sender.test>\r\nRCPT TO:<smuggled@recipient.test>\r\n"
    b"DATA\r\nSubject: smuggled\r\n\r\nsmuggled text"
)


class SmugglingTest(case.PostfixCase):
    def attack(self, client, fake, chunk=None):
        """Sends a message that holds a fake end; the reply to its true one."""
        client.envelope("a@sender.test", ["b@recipient.test"])
        self.assert_reply(client.command("DATA"), 354)
        client.send(
            b"Subject: outer\r\n\r\nouter text"
            + fake
            + _SMUGGLED
            + b"\r\n.\r\n",
            chunk,
        )
        return client.reply()

    def check_after(self, client, reply, may_be_refused):
        """One message with all the text, and the session is in step."""
        messages = self.postfix.messages()
        self.assertEqual(
            self.postfix.messages_to("smuggled@recipient.test"), []
        )
        if reply.code == 250:
            self.assertEqual(
                [message.recipients for message in messages],
                [["b@recipient.test"]],
            )
            self.assertIn(b"outer text", messages[0].content)
            self.assertIn(b"smuggled text", messages[0].content)
            # The second one's Subject did not become a header of the first.
            self.assertNotIn(
                b"Subject: smuggled", messages[0].content.partition(b"\n\n")[0]
            )
        else:
            self.assertTrue(may_be_refused, reply.text)
            self.assertEqual(reply.code // 100, 5, reply.text)
            self.assertEqual(messages, [])
        self.assert_reply(client.command("NOOP"), 250)
        self.assert_delivers(client)

    def run_on(self, listener, chunk, **changes):
        running = self.start_proxy(
            listener,
            workers=1,
            backend_max_connections=1,
            backend_warm_spares=0,
            **changes,
        )
        for name, fake in _FAKE_ENDS.items():
            with self.subTest(name, listener=listener, chunk=chunk):
                self.postfix.clear()
                client = self.tls_session(running)
                reply = self.attack(client, fake, chunk)
                self.check_after(client, reply, may_be_refused=b"\0" in fake)
                # The next client on that connection hears its own replies.
                client.quit()
                other = self.tls_session(running, "other.test")
                self.assert_delivers(other, "other@sender.test")
                other.quit()

    def test_permissive_backend(self):
        self.run_on("plain", chunk=None)

    def test_permissive_backend_byte_by_byte(self):
        self.run_on("plain", chunk=1)

    def test_reused_backend(self):
        self.run_on("reuse", chunk=7)

    def test_reject(self):
        running = self.start_proxy(
            "plain",
            workers=1,
            bare_newline="reject",
            backend_max_connections=1,
            backend_warm_spares=0,
        )
        client = self.tls_session(running)
        for name, fake in _FAKE_ENDS.items():
            bare = fake.replace(b"\r\n", b"").strip(b".\0")
            if not bare:
                continue  # no bare CR or LF in it, only NUL
            with self.subTest(name):
                self.assert_reply(self.attack(client, fake), 550, r"5\.\d\.\d")
                self.assertEqual(self.postfix.messages(), [])
        self.assert_delivers(client)
        client.quit()

    def test_normalized_text_arrives_as_lines(self):
        running = self.start_proxy("plain")
        client = self.tls_session(running)
        client.envelope("a@sender.test", ["b@recipient.test"])
        self.assert_reply(client.command("DATA"), 354)
        client.send(
            b"Subject: bare\nX-Second: header\n\nfirst\nsecond\n\nfourth\r\n"
            b".\r\n"
        )
        self.assert_reply(client.reply(), 250)
        client.quit()
        self.assert_content(
            self.only_message(),
            b"Subject: bare\r\nX-Second: header\r\n\r\nfirst\r\nsecond\r\n\r\n"
            b"fourth\r\n",
        )

    def test_commands_behind_the_true_end_are_the_client_s_own(self):
        """Edge case 75: pipelined bytes behind the end are commands."""
        running = self.start_proxy("reuse")
        client = self.tls_session(running)
        client.envelope("one@sender.test", ["b@recipient.test"])
        self.assert_reply(client.command("DATA"), 354)
        client.send(
            b"Subject: one\r\n\r\none\r\n.\r\n"
            b"MAIL FROM:<two@sender.test>\r\nRCPT TO:<b@recipient.test>\r\n"
            b"DATA\r\n"
        )
        self.assertEqual(
            [reply.code for reply in client.replies(4)], [250, 250, 250, 354]
        )
        client.send(b"Subject: two\r\n\r\ntwo\r\n.\r\nQUIT\r\n")
        self.assertEqual(
            [reply.code for reply in client.replies(2)], [250, 221]
        )
        self.assertEqual(
            sorted(
                (message.sender, message.below(2))
                for message in self.postfix.messages()
            ),
            [
                ("one@sender.test", b"Subject: one\n\none\n"),
                ("two@sender.test", b"Subject: two\n\ntwo\n"),
            ],
        )
