"""Nothing said before TLS counts after it; plaintext is never TLS.

CVE-2011-0411 and what it taught: see RFC 3207, section 4.2.
"""

import ssl
import time

import case
import smtpclient

_FROM = r"from unknown\[127\.0\.0\.1\]"


class StarttlsTest(case.PostfixCase):
    def test_commands_behind_starttls_are_not_executed(self):
        running = self.start_proxy()
        client = self.connect(running)
        client.ehlo("client.test")
        client.send(
            b"STARTTLS\r\nRSET\r\nMAIL FROM:<evil@sender.test>\r\n"
            b"RCPT TO:<victim@recipient.test>\r\nDATA\r\n"
            b"Subject: injected\r\n\r\ninjected\r\n.\r\n"
        )
        self.assert_reply(client.reply(), 220)
        client.handshake(self.certificates.trust())
        # Were one executed, its reply would come first, or MAIL be known.
        self.assertTrue(client.quiet(0.3))
        reply = client.ehlo("client.test")
        self.assertIn("mx.test", reply.lines[0])
        self.assert_reply(
            client.command("RCPT TO:<victim@recipient.test>"), 503
        )
        self.assert_delivers(client, "honest@sender.test")
        self.only_message()
        running.wait_for_log(r"(?i)plaintext.*STARTTLS|STARTTLS.*plaintext")

    def test_every_cut_of_an_injection(self):
        """The 220 may be under way when the injected bytes arrive."""
        running = self.start_proxy()
        injection = b"STARTTLS\r\nMAIL FROM:<evil@sender.test>\r\n"
        for cut in (9, 10, 11, 15, len(injection) - 1):
            with self.subTest(cut=cut):
                client = self.connect(running)
                client.ehlo("client.test")
                client.send(injection[:cut])
                time.sleep(0.02)
                # Into the handshake: garbage there ends the connection.
                client.send(injection[cut:])
                try:
                    self.assert_reply(client.reply(), 220)
                    client.handshake(self.certificates.trust())
                    client.ehlo("client.test")
                    reply = client.command("RCPT TO:<victim@recipient.test>")
                except (smtpclient.Closed, OSError):
                    continue
                self.assert_reply(reply, 503)
        self.assertEqual(self.postfix.messages(), [])

    def test_client_hello_behind_starttls_is_not_read(self):
        """Edge case 15: also a TLS record there is plaintext."""
        running = self.start_proxy(tls_handshake_timeout="1s")
        client = self.connect(running)
        client.ehlo("client.test")
        hello = smtpclient.client_hello(self.certificates.trust())
        client.send_raw(b"STARTTLS\r\n" + hello)
        answer = self.assert_closes(client, 5)
        self.assertTrue(answer.startswith(b"220 "), answer)
        # At most an alert (21) behind it, never a ServerHello (22).
        records = answer[answer.index(b"\r\n") + 2 :]
        self.assertNotEqual(records[:1], b"\x16", records)

    def test_what_was_said_before_tls_is_forgotten(self):
        running = self.start_proxy()
        client = self.connect(running)
        client.ehlo("before.test")
        self.assert_reply(
            client.command("MAIL FROM:<before@sender.test>"), 250
        )
        self.assert_reply(
            client.command("RCPT TO:<before@recipient.test>"), 250
        )
        reply = client.command("STARTTLS")
        if (
            reply.code == 503
        ):  # in a transaction: allowed, but then nothing changes
            self.assert_reply(client.command("RSET"), 250)
            reply = client.command("STARTTLS")
        self.assert_reply(reply, 220)
        client.handshake(self.certificates.trust())
        # No EHLO yet, so no MAIL (edge case 17), and no transaction (16).
        self.assert_reply(client.command("MAIL FROM:<a@sender.test>"), 503)
        self.assert_reply(client.command("RCPT TO:<a@recipient.test>"), 503)
        client.ehlo("after.test")
        self.assert_reply(client.command("RCPT TO:<a@recipient.test>"), 503)
        self.assert_delivers(client)
        message = self.only_message()
        self.assertEqual(message.helo, "after.test")
        self.assertNotIn(b"before", message.content)

    def test_plaintext_after_220_ends_the_connection_at_once(self):
        running = self.start_proxy()
        client = self.connect(running)
        client.ehlo("client.test")
        self.assert_reply(client.command("STARTTLS"), 220)
        started = time.monotonic()
        client.send(b"EHLO client.test\r\nMAIL FROM:<a@sender.test>\r\n")
        rest = self.assert_closes(client, 5)
        self.assertLess(time.monotonic() - started, 1)
        self.assertNotIn(b"250", rest)
        running.wait_for_log(r"SSL_accept error " + _FROM)
        running.wait_for_log(r"lost connection after STARTTLS " + _FROM)
        running.wait_for_log(r"(?i)client sent plaintext")

    def test_client_that_leaves_in_the_handshake(self):
        running = self.start_proxy(workers=1)
        client = self.connect(running)
        client.ehlo("client.test")
        self.assert_reply(client.command("STARTTLS"), 220)
        client.send_raw(
            smtpclient.client_hello(self.certificates.trust())[:100]
        )
        client.close()
        running.wait_for_log(
            r"SSL_accept error " + _FROM + ".*lost connection"
        )
        # No error is left over for the next session of that worker.
        self.assert_delivers(self.tls_session(running))

    def test_handshake_deadline(self):
        running = self.start_proxy(tls_handshake_timeout="1s")
        client = self.connect(running)
        client.ehlo("client.test")
        self.assert_reply(client.command("STARTTLS"), 220)
        hello = smtpclient.client_hello(self.certificates.trust())
        started = time.monotonic()
        # A byte now and then buys no time: it is one deadline for all.
        try:
            for index in range(30):
                client.send_raw(hello[index : index + 1])
                time.sleep(0.1)
        except OSError:
            pass
        self.assert_closes(client, 5)
        self.assertLess(time.monotonic() - started, 4)
        running.wait_for_log(
            r"(?i)(timeout|timed out).*"
            + _FROM
            + r"|SSL_accept error "
            + _FROM
            + r".*(?i:time)"
        )

    def test_no_common_version(self):
        running = self.start_proxy()
        context = self.certificates.trust()
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        client = self.connect(running)
        client.ehlo("client.test")
        with self.assertRaises(ssl.SSLError):
            client.starttls(context)
        client.close()
        running.wait_for_log(r"SSL_accept error " + _FROM)

    def test_tls_on_the_starttls_port(self):
        """A client that takes this port for one of implicit TLS."""
        running = self.start_proxy()
        client = self.connect(running, greet=False)
        started = time.monotonic()
        client.send_raw(smtpclient.client_hello(self.certificates.trust()))
        rest = self.assert_closes(client, 5)
        self.assertLess(time.monotonic() - started, 2)
        self.assertNotIn(b"\x16\x03", rest)
        running.wait_for_log(r"(?i)TLS on a STARTTLS port")
        self.assert_delivers(self.tls_session(running))

    def test_starttls_again_or_with_a_parameter(self):
        running = self.start_proxy()
        client = self.connect(running)
        client.ehlo("client.test")
        self.assert_reply(client.command("STARTTLS now"), 501, r"5\.5\.4")
        client.starttls(self.certificates.trust())
        client.ehlo("client.test")
        self.assertNotIn("STARTTLS", client.extensions)
        self.assertIn(client.command("STARTTLS").code, (503, 554))
        self.assert_delivers(client)

    def test_starttls_before_ehlo(self):
        running = self.start_proxy()
        client = self.connect(running)
        self.assert_reply(client.command("STARTTLS"), 503, r"5\.5\.1")
        client.ehlo("client.test")
        client.starttls(self.certificates.trust())
        client.ehlo("client.test")
        self.assert_delivers(client)

    def test_stream_cut_off_in_a_message(self):
        """Edge cases 31 and 79: half a message is never delivered."""
        running = self.start_proxy(
            workers=1, backend_max_connections=1, backend_warm_spares=0
        )
        for ending in ("close_notify", "cut off"):
            with self.subTest(ending):
                client = self.tls_session(running)
                client.envelope("cut@sender.test", ["victim@recipient.test"])
                self.assert_reply(client.command("DATA"), 354)
                client.send(b"Subject: half\r\n\r\nhalf a mess")
                if ending == "close_notify":
                    client.close_notify()
                client.close()
                # The one backend connection comes back clean, or anew.
                other = self.tls_session(running, "other.test")
                self.assert_delivers(other, "other@sender.test")
                other.quit()
                self.assertEqual(
                    self.only_message().sender, "other@sender.test"
                )
                self.postfix.clear()
        running.wait_for_log(r"lost connection after DATA.* " + _FROM)
