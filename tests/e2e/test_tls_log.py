"""What the log says of a handshake: tls_loglevel 0 to 4, and failures.

The how-to's Debug section: each failure has Postfix's lines, and one in plain
words beside them.
"""

import re
import ssl
import time

import smtpclient
import tlscase

_FROM = r"from unknown\[127\.0\.0\.1\]"
_STATE = r"SSL_accept:"


class LevelTest(tlscase.TlsCase):
    def log_of_a_session(self, level, version="TLSv1.3", **changes):
        running = self.start_proxy(workers=1, tls_loglevel=level, **changes)
        running.wait_for_log(r"disconnect from .* quit=1 commands=1$")
        before = len(running.log())
        client = self.tls_client(running, self.certificates.trust(version))
        client.deliver("a@sender.test", ["b@recipient.test"], tlscase.BODY)
        client.quit()
        self.wait_for_line(running, before, r"disconnect from ")
        return running.log()[before:]

    def test_0_says_nothing_of_tls(self):
        log = self.log_of_a_session(0)
        self.assertNotIn("TLS connection", log)
        self.assertNotIn("SSL", log)
        self.assertIn("disconnect from", log)

    def test_1_says_one_line(self):
        for version in ("TLSv1.2", "TLSv1.3"):
            log = self.log_of_a_session(1, version)
            lines = [
                line
                for line in log.splitlines()
                if "TLS" in line.replace("starttls", "") or "SSL" in line
            ]
            self.assertEqual(len(lines), 1, log)
            # As Postfix's, to the end of the line.
            signature = (
                r" key-exchange \w+(?: \([\w-]+\))? server-signature RSA-PSS"
                r" \(2048 bits\) server-digest SHA256"
                if version == "TLSv1.3"
                else ""
            )
            self.assertRegex(
                lines[0],
                r"^\w{3} [ \d]\d \d\d:\d\d:\d\d mx\.test tlspost/smtpd\[\d+\]:"
                r" Anonymous TLS connection established %s to mx\.test: "
                r"%s with cipher [\w-]+ \((128/128|256/256) bits\)%s$"
                % (_FROM, re.escape(version), signature),
            )

    def test_1_without_a_name(self):
        running = self.start_proxy()
        self.tls_client(running, server_name=None).quit()
        running.wait_for_log(r"TLS connection established %s: TLSv1" % _FROM)

    def test_2_says_the_steps(self):
        for version in ("TLSv1.2", "TLSv1.3"):
            with self.subTest(version):
                log = self.log_of_a_session(2, version)
                self.assertRegex(log, "setting up TLS connection " + _FROM)
                self.assertGreater(len(re.findall(_STATE, log)), 3, log)
                self.assertRegex(log, r"(?i)issuing session ticket")
                self.assertIn("TLS connection established", log)
                self.assertNotRegex(log, r"0000 ")

    def test_3_and_4_dump_octets(self):
        """3: of the handshake; 4: all, and never what was decrypted."""
        sizes = {}
        for level in (2, 3, 4):
            log = self.log_of_a_session(level)
            sizes[level] = len(
                re.findall(r"[0-9a-f]{4}[ :]+(?:[0-9a-f]{2}[ -]){8}", log)
            )
            self.assertNotIn("a@sender.test", log.replace("from=<a@", ""))
        self.assertEqual(sizes[2], 0)
        self.assertGreater(sizes[3], 50)
        self.assertGreater(sizes[4], sizes[3])

    def test_the_name_in_front(self):
        running = self.start_proxy(syslog_name="postfix")
        self.tls_client(running).quit()
        running.wait_for_log(
            r"mx\.test postfix/smtpd\[\d+\]: Anonymous TLS connection"
        )

    def test_summary_of_an_implicit_session(self):
        running = self.start_proxy()
        client = self.tls_client(running, implicit=True)
        client.deliver("a@sender.test", ["b@recipient.test"], tlscase.BODY)
        client.quit()
        running.wait_for_log(
            r"disconnect %s ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5$"
            % _FROM
        )


class FailureTest(tlscase.TlsCase):
    def setUp(self):
        super().setUp()
        self.running = self.start_proxy(
            workers=1, tls_handshake_timeout="600ms"
        )
        self.running.wait_for_log(r"disconnect from .* quit=1 commands=1$")

    def begin(self, implicit):
        """A client where a ClientHello is due."""
        before = len(self.running.log())
        if implicit:
            client = self.connect(self.running_implicit(), greet=False)
        else:
            client = self.plain_session(self.running)
            self.assert_reply(client.command("STARTTLS"), 220)
        return client, before

    def running_implicit(self):
        class Implicit:
            port = self.running.implicit_port

        return Implicit

    def assert_logged(self, before, *patterns):
        """These lines, in this order, and the next session is none the
        worse."""
        at = before
        for pattern in patterns:
            at += self.wait_for_line(self.running, at, pattern).end()
        self.assert_delivers(self.tls_client(self.running))

    def fails(self, context, implicit=False):
        client, before = self.begin(implicit)
        with self.assertRaises((ssl.SSLError, smtpclient.Closed, OSError)):
            client.handshake(context)
            client.command("NOOP")  # TLS 1.3: an alert may come late
        client.close()
        return before

    def test_E020_plaintext_after_220(self):
        client, before = self.begin(implicit=False)
        started = time.monotonic()
        client.send(b"EHLO client.test\r\n")
        self.assertNotIn(b"250", self.assert_closes(client, 5))
        self.assertLess(time.monotonic() - started, 1)
        self.assert_logged(
            before,
            r"SSL_accept error %s: -1" % _FROM,
            r"warning: TLS library problem: error:0A\w{6}:SSL routines:[^:]*:"
            r"wrong version number:[\w/.]+:\d+:",
            r"lost connection after STARTTLS " + _FROM,
        )
        self.assertRegex(
            self.running.log()[before:],
            r"(?i)client sent plaintext.*STARTTLS",
        )

    def test_E036_plaintext_on_the_implicit_port(self):
        client, before = self.begin(implicit=True)
        started = time.monotonic()
        client.send(b"EHLO client.test\r\n")
        answer = self.assert_closes(client, 5)
        self.assertLess(time.monotonic() - started, 1)
        self.assertFalse(answer[:1].isdigit(), answer)
        self.assert_logged(
            before,
            r"SSL_accept error %s: -1" % _FROM,
            r"warning: TLS library problem: error:0A",
            r"lost connection after CONNECT " + _FROM,
        )
        self.assertRegex(
            self.running.log()[before:],
            r"the client sent plaintext on an implicit-TLS port",
        )

    def test_E037_tls_on_the_starttls_port(self):
        before = len(self.running.log())
        client = self.connect(self.running, greet=False)
        started = time.monotonic()
        client.send_raw(smtpclient.client_hello(self.certificates.trust()))
        self.assertNotIn(b"\x16\x03", self.assert_closes(client, 5))
        self.assertLess(time.monotonic() - started, 1)
        self.assert_logged(before, r"TLS on a STARTTLS port")

    def test_E021_silence(self):
        for implicit in (False, True):
            with self.subTest(implicit=implicit):
                client, before = self.begin(implicit)
                started = time.monotonic()
                self.assert_closes(client, 5)
                self.assertLess(time.monotonic() - started, 3)
                self.assert_logged(
                    before,
                    r"(?i)SSL_accept error %s: .*time|timeout .*%s"
                    % (_FROM, _FROM),
                )

    def test_E022_client_leaves_in_the_handshake(self):
        for implicit in (False, True):
            for octets in (0, 3, 100):
                with self.subTest(implicit=implicit, octets=octets):
                    client, before = self.begin(implicit)
                    hello = smtpclient.client_hello(self.certificates.trust())
                    client.send_raw(hello[:octets])
                    time.sleep(0.02)
                    client.close()
                    self.assert_logged(
                        before,
                        r"SSL_accept error %s: lost connection" % _FROM,
                    )

    def test_E023_old_client(self):
        for implicit in (False, True):
            with self.subTest(implicit=implicit):
                context = tlscase.insecure(
                    self.certificates.trust(), "TLSv1_1"
                )
                before = self.fails(context, implicit)
                self.assert_logged(before, r"SSL_accept error " + _FROM)
                # What was offered, and what is asked for.
                self.assertRegex(
                    self.running.log()[before:],
                    r"nothing newer than TLSv1\.1, and TLSv1\.2 is required",
                )
        # It may come back in plaintext.
        self.assert_delivers(self.plain_session(self.running))

    def test_E024_no_shared_cipher(self):
        context = self.certificates.trust("TLSv1.2")
        context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
        before = self.fails(context)
        self.assert_logged(before, r"SSL_accept error " + _FROM)
        self.assertRegex(
            self.running.log()[before:],
            r"(?s)no shared cipher.*offered.*ECDHE-ECDSA-AES128-GCM-SHA256",
        )

    def test_E024_no_shared_group(self):
        context = self.certificates.trust("TLSv1.3")
        context.set_ecdh_curve("secp521r1")
        before = self.fails(context)
        self.assert_logged(before, r"SSL_accept error " + _FROM)
        self.assertRegex(
            self.running.log()[before:], r"offered.*groups.*secp521r1"
        )

    def test_client_that_does_not_trust_us(self):
        before = self.fails(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        self.assert_logged(before, r"alert unknown ca")
        self.assertRegex(
            self.running.log()[before:], r"does not accept our certificate"
        )

    def test_failures_at_level_0(self):
        """Silence about TLS is about what went well."""
        self.running = self.start_proxy(workers=1, tls_loglevel=0)
        self.running.wait_for_log(r"disconnect from .* quit=1 commands=1$")
        before = self.fails(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        self.assert_logged(before, r"SSL_accept error|TLS library problem")
