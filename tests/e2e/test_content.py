"""Whatever a message holds arrives as it was, however it was cut."""

import socket

import case


def _big(size):
    """Lines of many lengths, with dots where they hurt."""
    lines, total, number = [b"Subject: big\r\n", b"\r\n"], 0, 0
    while total < size:
        line = (
            b"." * (number % 4)
            + b"%d " % number
            + b"x" * (number * 7 % 991)
            + b"\r\n"
        )
        lines.append(line)
        total += len(line)
        number += 1
    return b"".join(lines)


class ContentTest(case.PostfixCase):
    def send(self, client, content, chunk=None, parameters=""):
        self.postfix.clear()
        client.envelope("a@sender.test", ["b@recipient.test"], parameters)
        reply = client.data(content, chunk)
        self.assert_reply(reply, 250)
        self.assert_content(self.only_message(), content)

    def test_twenty_megabytes(self):
        running = self.start_proxy(message_size_limit="40M")
        content = _big(20 << 20)
        for chunk in (None, 16384, 100000):
            with self.subTest(chunk=chunk):
                client = self.tls_session(running)
                self.send(client, content, chunk, " SIZE=%d" % len(content))
                client.quit()

    def test_many_small_pieces(self):
        running = self.start_proxy()
        content = _big(40000)
        for chunk in (1, 2, 3, 100, 1399):
            with self.subTest(chunk=chunk):
                client = self.tls_session(running)
                short = (
                    content
                    if chunk > 3
                    else (content[:3000].rpartition(b"\r\n")[0] + b"\r\n")
                )
                self.send(client, short, chunk)
                client.quit()

    def test_plaintext_in_pieces(self):
        client = self.plain_session(self.start_proxy())
        self.send(client, _big(3000), 1)
        self.send(client, _big(1 << 20), None)

    def test_end_in_every_cut(self):
        client = self.tls_session(self.start_proxy())
        tail = b"last\r\n.\r\n"
        for cut in range(1, len(tail)):
            with self.subTest(cut=cut):
                self.postfix.clear()
                client.envelope("a@sender.test", ["b@recipient.test"])
                self.assert_reply(client.command("DATA"), 354)
                client.send(b"Subject: cut\r\n\r\n" + tail[:cut])
                client.send(tail[cut:])
                self.assert_reply(client.reply(), 250)
                self.assert_content(
                    self.only_message(), b"Subject: cut\r\n\r\nlast\r\n"
                )

    def test_odd_lines(self):
        client = self.tls_session(self.start_proxy())
        for name, body in (
            ("dots", b".\r\n..\r\n...\r\n.x\r\n. \r\n \t.\r\nx.\r\n"),
            ("8 bit", bytes(range(128, 256)) + b"\r\n"),
            ("controls", bytes(set(range(1, 128)) - {10, 13}) + b"\r\n"),
            ("blank lines", b"\r\n\r\n\r\n\r\n"),
            ("a very long line", b"z" * 100000 + b"\r\n"),
            ("a line of 16384", b"y" * 16382 + b"\r\n.\r\n"),
            ("From", b"From me\r\n>From you\r\n"),
        ):
            with self.subTest(name):
                self.send(client, b"Subject: odd\r\n\r\n" + body)

    def test_empty_message(self):
        client = self.tls_session(self.start_proxy())
        client.envelope("a@sender.test", ["b@recipient.test"])
        self.assert_reply(client.command("DATA"), 354)
        client.send(b".\r\n")
        self.assert_reply(client.reply(), 250)
        self.assert_content(self.only_message(), b"")

    def test_E077_nul(self):
        """Made harmless as bare line ends are: a space, or refused."""
        content = b"Subject: nul\r\n\r\na\0b\r\n\0\r\n"
        for policy in ("normalize", "reject"):
            with self.subTest(policy):
                self.postfix.clear()
                client = self.tls_session(
                    self.start_proxy(bare_newline=policy)
                )
                client.envelope("a@sender.test", ["b@recipient.test"])
                reply = client.data(content)
                if policy == "normalize":
                    self.assert_reply(reply, 250)
                    self.assert_content(
                        self.only_message(), content.replace(b"\0", b" ")
                    )
                else:
                    self.assert_reply(reply, 550, r"5\.5\.2")
                    self.assertEqual(self.postfix.messages(), [])
                self.assert_delivers(client)

    def test_E088_fifty_received_headers(self):
        """The backend's refusal of a whole message goes to the client."""
        client = self.tls_session(self.start_proxy())
        client.envelope("a@sender.test", ["b@recipient.test"])
        reply = client.data(
            b"Received: from a by b; Mon, 2 Jan 2006 15:04:05 +0000\r\n" * 60
            + b"\r\nbody\r\n"
        )
        self.assert_reply(reply, 554, r"5\.4\.\d")
        self.assertIn("hops", reply.text)
        self.assert_delivers(client)

    # Sizes.

    def test_size_limit(self):
        running = self.start_proxy(message_size_limit="100k")
        client = self.tls_session(running)
        self.assertEqual(client.extensions["SIZE"], str(100 << 10))
        self.assert_reply(
            client.command("MAIL FROM:<a@sender.test> SIZE=102401"),
            552,
            r"5\.3\.4",
        )
        client.envelope("a@sender.test", ["b@recipient.test"])
        # Said only by its size on the way.
        self.assert_reply(client.data(_big(300000)), 552, r"5\.3\.4")
        self.assertEqual(self.postfix.messages(), [])
        self.assert_delivers(client)
        self.send(client, _big(90000))

    def test_size_limit_of_the_backend(self):
        running = self.start_proxy("strict", message_size_limit=0)
        client = self.tls_session(running)
        self.assert_reply(
            client.command("MAIL FROM:<a@sender.test> SIZE=300000"),
            552,
            r"5\.3\.4",
        )
        client.envelope("a@sender.test", ["b@recipient.test"])
        self.assert_reply(client.data(_big(2 << 20)), 552, r"5\.3\.4")
        self.assertEqual(self.postfix.messages(), [])
        self.assert_delivers(client)

    # Ways to speak.

    def test_commands_with_bare_line_feeds(self):
        """What nc sends: commands end in LF alone."""
        client = self.connect(self.start_proxy())
        client.send(b"EHLO nc.test\n")
        self.assert_reply(client.reply(), 250)
        for line in (
            b"MAIL FROM:<a@sender.test>\n",
            b"RCPT TO:<b@recipient.test>\n",
        ):
            client.send(line)
            self.assert_reply(client.reply(), 250)
        client.send(b"RSET\nNOOP\nSTARTTLS\n")
        self.assertEqual(
            [reply.code for reply in client.replies(3)], [250, 250, 220]
        )
        client.handshake(self.certificates.trust())
        client.send(b"EHLO nc.test\n")
        self.assert_reply(client.reply(), 250)
        client.send(
            b"MAIL FROM:<a@sender.test>\nRCPT TO:<b@recipient.test>\nDATA\n"
        )
        self.assertEqual(
            [reply.code for reply in client.replies(3)], [250, 250, 354]
        )
        client.send(b"Subject: nc\r\n\r\nbody\r\n.\r\n")
        self.assert_reply(client.reply(), 250)
        client.send(b"QUIT\n")
        self.assert_reply(client.reply(), 221)
        self.assert_content(
            self.only_message(), b"Subject: nc\r\n\r\nbody\r\n"
        )

    def half_close(self, client, close):
        client.envelope("a@sender.test", ["b@recipient.test"])
        self.assert_reply(client.command("DATA"), 354)
        client.send(b"Subject: half\r\n\r\nbody\r\n.\r\n")
        close()
        self.assert_reply(client.reply(), 250)
        self.assert_closes(client, 5)
        self.assert_content(
            self.only_message(), b"Subject: half\r\n\r\nbody\r\n"
        )

    def test_half_close_in_plaintext(self):
        client = self.plain_session(self.start_proxy())
        self.half_close(client, lambda: client.socket.shutdown(socket.SHUT_WR))

    def test_half_close_of_tls(self):
        client = self.tls_session(self.start_proxy())
        self.half_close(client, client.close_notify)

    def test_E080_half_close_of_both(self):
        client = self.tls_session(self.start_proxy())

        def close():
            client.close_notify()
            client.socket.shutdown(socket.SHUT_WR)

        self.half_close(client, close)

    def test_client_that_leaves_after_the_end(self):
        """A complete message may be delivered, though nobody hears 250."""
        running = self.start_proxy(
            workers=1, backend_max_connections=1, backend_warm_spares=0
        )
        client = self.tls_session(running)
        client.envelope("gone@sender.test", ["b@recipient.test"])
        self.assert_reply(client.command("DATA"), 354)
        client.send(b"Subject: gone\r\n\r\nbody\r\n.\r\n")
        client.close()
        # With one connection the other's mail is behind it, whatever became of
        # it.
        other = self.tls_session(running, "other.test")
        running.wait_for_log("from=<gone@sender.test>")
        self.assert_delivers(other, "other@sender.test")
        # At most once; whether it is there depends on who was faster.
        self.assertLessEqual(len(self.postfix.messages()), 2)

    def test_E054_eight_bit_and_dsn_parameters_pass(self):
        client = self.tls_session(self.start_learned_proxy())
        self.assert_reply(
            client.command(
                "MAIL FROM:<a@sender.test> BODY=8BITMIME RET=HDRS ENVID=id+2B1"
            ),
            250,
        )
        self.assert_reply(
            client.command(
                "RCPT TO:<b@recipient.test> NOTIFY=NEVER ORCPT=rfc822;x@y.test"
            ),
            250,
        )
        content = b"Subject: \xc3\xa9\r\n\r\n\xff\r\n"
        self.assert_reply(client.data(content), 250)
        client.quit()
        message = self.only_message()
        self.assert_content(message, content)
        self.assertEqual(message.attributes["envelope_id"], "id+1")
        self.assertEqual(
            message.attributes["dsn_orig_rcpt"], "rfc822;x@y.test"
        )
