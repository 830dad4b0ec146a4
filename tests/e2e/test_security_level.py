"""tls_security_level none, may and encrypt; what EHLO offers in each."""

import case
import proxy

# What tlspost implements of a backend's list.
_RELAYED = {
    "PIPELINING",
    "SIZE",
    "VRFY",
    "ENHANCEDSTATUSCODES",
    "8BITMIME",
    "DSN",
    "SMTPUTF8",
    "CHUNKING",
}


class SecurityLevelTest(case.PostfixCase):
    def without_certificate(self, **changes):
        return self.start_learned_proxy(
            tls_cert_file=None, tls_key_file=None, **changes
        )

    def check_offer(self, client, starttls):
        """EHLO offered the backend's list cut to ours, and STARTTLS or not."""
        self.assertEqual(
            set(client.extensions),
            _RELAYED | ({"STARTTLS"} if starttls else set()),
        )
        # Postfix takes 41 MB here, tlspost 10 MB by default.
        self.assertEqual(client.extensions["SIZE"], "10240000")

    def test_none(self):
        running = self.without_certificate(tls_security_level="none")
        client = self.plain_session(running)
        self.check_offer(client, starttls=False)
        self.assert_reply(client.command("STARTTLS"), 502, r"5\.5\.1")
        client.deliver(
            "a@sender.test", ["b@recipient.test"], b"Subject: x\r\n\r\ny\r\n"
        )
        client.quit()
        self.assert_received(
            self.only_message().received(1),
            "client.test",
            "127.0.0.1",
            "ESMTP",
            "b@recipient.test",
        )

    def test_none_with_a_certificate(self):
        running = self.start_learned_proxy(tls_security_level="none")
        client = self.plain_session(running)
        self.check_offer(client, starttls=False)
        self.assert_reply(client.command("STARTTLS"), 502, r"5\.5\.1")

    def test_may(self):
        running = self.start_learned_proxy(tls_security_level="may")
        client = self.plain_session(running)
        self.check_offer(client, starttls=True)
        self.assert_delivers(client, "plain@sender.test")
        client.starttls(self.certificates.trust())
        client.ehlo("client.test")
        self.check_offer(client, starttls=False)
        self.assert_delivers(client, "tls@sender.test")
        client.quit()

    def test_may_without_a_certificate(self):
        running = self.without_certificate(tls_security_level="may")
        running.wait_for_log(r"(?i)warning.*certificate.*STARTTLS")
        client = self.plain_session(running)
        self.check_offer(client, starttls=False)
        self.assertIn(client.command("STARTTLS").code, (454, 502))
        self.assert_delivers(client)

    def test_encrypt(self):
        running = self.start_learned_proxy(tls_security_level="encrypt")
        client = self.connect(running)
        for line in (
            "MAIL FROM:<a@sender.test>",
            "RCPT TO:<b@recipient.test>",
            "DATA",
            "RSET",
            "VRFY someone",
        ):
            reply = client.command(line)
            self.assert_reply(reply, 530, r"5\.7\.0")
            self.assertIn("STARTTLS", reply.text)
        self.assert_reply(client.command("NOOP"), 250)
        self.assert_reply(client.command("HELO client.test"), 250)
        client.ehlo("client.test")
        self.check_offer(client, starttls=True)
        self.assert_reply(
            client.command("MAIL FROM:<a@sender.test>"), 530, r"5\.7\.0"
        )
        client.starttls(self.certificates.trust())
        client.ehlo("client.test")
        self.check_offer(client, starttls=False)
        self.assert_delivers(client)
        self.assert_reply(client.command("QUIT"), 221)

    def test_encrypt_and_quit_before_tls(self):
        running = self.start_learned_proxy(tls_security_level="encrypt")
        self.connect(running).quit()

    def test_encrypt_without_a_certificate_does_not_start(self):
        result = proxy.run(
            "--listen=127.0.0.1:0",
            "--backend=127.0.0.1:1",
            "--hostname=mx.test",
            "--tls_security_level=encrypt",
        )
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("tls_cert_file", result.stderr)

    def test_smaller_size_limit_of_the_backend_is_offered(self):
        client = self.plain_session(self.start_learned_proxy("strict"))
        self.assertEqual(client.extensions["SIZE"], "200000")

    def test_xclient_is_not_the_client_s(self):
        running = self.start_learned_proxy()
        client = self.tls_session(running)
        for line in (
            "XCLIENT ADDR=192.0.2.1",
            "XFORWARD ADDR=192.0.2.1",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 25",
            "ETRN x.test",
            "BDAT 0 LAST",
        ):
            self.assertIn(client.command(line).code, (500, 502, 503), line)
        self.assert_delivers(client)
        self.assertEqual(self.only_message().client, "unknown[127.0.0.1]")

    def test_greeting_and_the_simple_commands(self):
        running = self.start_learned_proxy()
        client = self.connect(running)
        self.assertEqual(client.greeting.code, 220)
        self.assertTrue(
            client.greeting.lines[0].startswith("220 mx.test ESMTP")
        )
        self.assert_reply(
            client.command("MAIL FROM:<a@sender.test>"), 503, r"5\.5\.1"
        )
        self.assert_reply(client.command("EHLO"), 501, r"5\.5\.4")
        client.ehlo("client.test")
        self.assert_reply(client.command("NOOP"), 250)
        self.assert_reply(client.command("VRFY someone"), 252)
        self.assert_reply(client.command("RSET"), 250)
        self.assertIn(client.command("HELP").code, (214, 502))
        self.assertIn(client.command("NONSENSE").code, (500, 502))
        self.assertIn(client.command("").code, (500, 502))
        self.assert_reply(client.command("DATA"), 503)
        self.assert_reply(client.command("RCPT TO:<b@recipient.test>"), 503)
        self.assert_reply(client.command("MAIL FROM:<a@sender.test>"), 250)
        self.assert_reply(client.command("MAIL FROM:<a@sender.test>"), 503)
        self.assertIn(client.command("DATA").code, (503, 554))  # no recipient
        self.assert_reply(client.command("RSET"), 250)
        self.assert_delivers(client)
