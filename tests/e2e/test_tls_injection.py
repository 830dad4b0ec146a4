"""STARTTLS command and response injection (CVE-2011-0411, CVE-2021-38371).

What was said before the handshake is never taken for something said inside
it, neither from the client to us nor from the backend to us.
"""

import time

import case
import fakebackend
import smtpclient
import util

_EVIL = (
    b"RSET\r\nMAIL FROM:<evil@sender.test>\r\nRCPT TO:<victim@recipient.test>"
    b"\r\nDATA\r\nSubject: injected\r\n\r\ninjected\r\n.\r\n"
)


class ClientInjectionTest(case.PostfixCase):
    def assert_nothing_was_executed(self, client):
        """Inside TLS, before EHLO: no reply waits, no envelope is open."""
        self.assertTrue(client.quiet(0.15))
        client.ehlo("client.test")
        self.assert_reply(client.command("RCPT TO:<x@recipient.test>"), 503)
        self.assertEqual(self.postfix.messages(), [])

    def test_E014_commands_in_the_segment_of_starttls(self):
        running = self.start_proxy()
        for injected in (
            _EVIL,
            b"NOOP\r\n",
            b"EHLO evil.test\r\n",
            b"QUIT\r\n",
            b"STARTTLS\r\n",
            b"\r\n",
            b"X",
            b"A" * 5000,
        ):
            with self.subTest(injected[:20]):
                before = len(running.log())
                client = self.plain_session(running)
                client.send(b"STARTTLS\r\n" + injected)
                self.assert_reply(client.reply(), 220)
                client.handshake(self.certificates.trust())
                self.assert_nothing_was_executed(client)
                client.close()
                util.wait_until(
                    lambda before=before, size=len(
                        injected
                    ): "%d octets of plaintext behind STARTTLS"
                    % size
                    in running.log()[before:],
                    5,
                    "a line that says what was dropped",
                )

    def test_E014_starttls_last_but_not_alone_in_its_segment(self):
        """EHLO and STARTTLS in one segment: nothing is behind it."""
        running = self.start_proxy()
        client = self.connect(running)
        client.send(b"EHLO client.test\r\nSTARTTLS\r\n")
        self.assertEqual(
            [reply.code for reply in client.replies(2)], [250, 220]
        )
        client.handshake(self.certificates.trust())
        self.assert_nothing_was_executed(client)
        self.assertNotIn("behind STARTTLS", running.log())
        self.assert_delivers(client)

    def test_E014_injection_in_the_segment_of_ehlo(self):
        running = self.start_proxy()
        client = self.connect(running)
        client.send(b"EHLO client.test\r\nNOOP\r\nSTARTTLS\r\n" + _EVIL)
        self.assertEqual(
            [reply.code for reply in client.replies(3)], [250, 250, 220]
        )
        client.handshake(self.certificates.trust())
        self.assert_nothing_was_executed(client)
        self.assert_delivers(client)

    def test_E014_the_line_end_of_starttls_is_split_from_it(self):
        running = self.start_proxy()
        for first, second in (
            (b"STARTTLS", b"\r\n" + _EVIL),
            (b"STARTTLS\r", b"\n" + _EVIL),
            (b"START", b"TLS\r\n" + _EVIL),
            (b"STARTTLS\n" + _EVIL[:3], _EVIL[3:]),
        ):
            with self.subTest(first):
                client = self.plain_session(running)
                client.send(first)
                time.sleep(0.03)
                client.send(second)
                try:
                    self.assert_reply(client.reply(), 220)
                    client.handshake(self.certificates.trust())
                except (smtpclient.Closed, OSError):
                    continue  # It came into the handshake, and ended it.
                self.assert_nothing_was_executed(client)

    def test_E014_one_octet_at_a_time(self):
        client = self.plain_session(self.start_proxy())
        client.send(b"STARTTLS\r\n", chunk=1)
        self.assert_reply(client.reply(), 220)
        client.handshake(self.certificates.trust())
        self.assert_nothing_was_executed(client)

    def test_E014_injection_with_forbid_unauth_pipelining(self):
        running = self.start_proxy(forbid_unauth_pipelining="yes")
        client = self.plain_session(running)
        client.send(b"STARTTLS\r\n" + _EVIL)
        self.assert_reply(client.reply(), 554, r"5\.5\.0")
        self.assertEqual(self.assert_closes(client, 5), b"")
        self.assertEqual(self.postfix.messages(), [])
        # Who waits for 220, as RFC 3207 wants it, is served.
        self.assert_delivers(self.tls_session(running))

    def test_E015_client_hello_in_the_segment_of_starttls(self):
        hello = smtpclient.client_hello(self.certificates.trust())
        for strict in ("no", "yes"):
            running = self.start_proxy(
                tls_handshake_timeout="500ms", forbid_unauth_pipelining=strict
            )
            for cut in (len(hello), 1, 5, 100):
                with self.subTest(strict=strict, cut=cut):
                    client = self.plain_session(running)
                    client.send(b"STARTTLS\r\n" + hello[:cut])
                    if cut < len(hello) and strict == "no":
                        # The rest alone is no TLS record.
                        time.sleep(0.03)
                        client.send(hello[cut:])
                    answer = self.assert_closes(client, 5)
                    code, _, records = answer.partition(b"\r\n")
                    self.assertEqual(
                        code[:3], b"554" if strict == "yes" else b"220"
                    )
                    # At most an alert (21), never a ServerHello (22).
                    self.assertNotEqual(records[:1], b"\x16", records)

    def test_plaintext_beside_the_handshake_ends_it(self):
        """After 220: a command between the records of the handshake."""
        running = self.start_proxy()
        context = self.certificates.trust()
        for place in ("ahead", "behind"):
            with self.subTest(place):
                client = self.plain_session(running)
                self.assert_reply(client.command("STARTTLS"), 220)
                hello = smtpclient.client_hello(context)
                noop = b"NOOP\r\n"
                client.send_raw(
                    noop + hello if place == "ahead" else hello + noop
                )
                started = time.monotonic()
                self.assertNotIn(b"250", self.assert_closes(client, 5))
                self.assertLess(time.monotonic() - started, 1)


class BackendInjectionTest(case.Case):
    """Replies that a backend sends in plaintext and means for TLS."""

    def backend(self, *more, **how):
        context = fakebackend.server_context(
            self.certificates, self.certificates.issue("fake")
        )
        backend = fakebackend.FakeBackend(context, *more, **how)
        self.addCleanup(backend.close)
        return backend

    def start(self, backend, level):
        return self.start_proxy(
            backend.address,
            workers=1,
            backend_tls_security_level=level,
            backend_tls_CAfile=self.certificates.path("root.pem"),
            backend_tls_servername="mx.test",
            backend_warm_spares=0,
            pool_wait_timeout="2s",
        )

    def mail(self, running):
        """The reply to a client's MAIL; a message whose MAIL was taken goes
        on to its end."""
        client = self.plain_session(running)
        reply = client.command("MAIL FROM:<a@sender.test>")
        if reply.code == 250:
            self.assert_reply(
                client.command("RCPT TO:<b@recipient.test>"), 250
            )
            reply = client.data(b"Subject: x\r\n\r\ny\r\n")
        client.quit()
        return reply

    def test_a_backend_that_behaves_gets_the_mail_inside_tls(self):
        for level in ("may", "encrypt", "verify"):
            with self.subTest(level):
                backend = self.backend()
                self.assert_reply(self.mail(self.start(backend, level)), 250)
                self.assertIn("MAIL", backend.verbs(True))
                self.assertLessEqual(
                    set(backend.verbs(False)), {"EHLO", "STARTTLS", "QUIT"}
                )

    def test_replies_behind_220_are_not_read_as_if_inside_tls(self):
        for injected in (
            b"250 2.0.0 injected\r\n",
            b"250-fake.test\r\n250 XCLIENT NAME ADDR\r\n",
            b"250 2.1.0 Ok\r\n" * 5,
            b"2",
        ):
            for level in ("may", "encrypt", "verify"):
                with self.subTest(injected=injected[:30], level=level):
                    backend = self.backend(
                        starttls=b"220 2.0.0 Ready\r\n" + injected
                    )
                    running = self.start(backend, level)
                    reply = self.mail(running)
                    # may: another connection may go on in plaintext; what is
                    # inside TLS here was never asked.
                    self.assertNotIn("MAIL", backend.verbs(True))
                    self.assertNotIn("XCLIENT", backend.verbs(True))
                    if level != "may":
                        self.assertEqual(reply.code, 451, reply.text)
                        self.assertNotIn("MAIL", backend.verbs(False))
                    running.wait_for_log(r"(?i)backend.*(STARTTLS|plaintext)")

    def test_capabilities_from_before_tls_are_forgotten(self):
        """RFC 3207, 4.2: what counts is the EHLO reply inside TLS."""
        backend = self.backend(
            offers=("STARTTLS", "XCLIENT NAME ADDR PORT PROTO HELO", "DSN"),
            offers_inside=("8BITMIME",),
        )
        running = self.start(backend, "encrypt")
        self.assert_reply(self.mail(running), 250)
        self.assertIn("EHLO", backend.verbs(True))
        self.assertNotIn("XCLIENT", backend.verbs(True))
        with smtpclient.Client(running.port) as client:
            client.ehlo()
            self.assertIn("8BITMIME", client.extensions)
            self.assertNotIn("DSN", client.extensions)
            client.quit()

    def test_plaintext_reply_in_the_midst_of_the_handshake(self):
        """Without TLS behind it: nothing is sent to such a backend."""
        backend = fakebackend.FakeBackend(
            None, starttls=b"220 2.0.0 Ready\r\n250 Ok\r\n250 Ok\r\n"
        )
        self.addCleanup(backend.close)
        reply = self.mail(self.start(backend, "encrypt"))
        self.assertEqual(reply.code, 451, reply.text)
        self.assertLessEqual(
            set(backend.verbs(False)), {"EHLO", "STARTTLS", "QUIT"}
        )
