"""The same dialogue with Postfix and tlspost: the same header and log.

Log parsers and mail filters know Postfix's wording, so Postfix itself is the
model here, not a copy of it in a test.
"""

import re
import ssl
import time

import case
import smtpclient
import util

_SENDER, _RECIPIENT = "a@sender.test", "b@recipient.test"
_CONTENT = b"Subject: x\r\n\r\ny\r\n"


def _header(field):
    """A Received field without what has to differ."""
    for pattern, mark in (
        (
            r"by \S+ \(\S+\) with (\S+) id [^\s;]+",
            r"by HOST (NAME) with \1 id ID",
        ),
        (case.DATE, "DATE"),
    ):
        field = re.sub(pattern, mark, field)
    return _ciphers(field)


def _ciphers(text):
    """Of TLS 1.3 each server takes the suite and group it prefers.

    The name of the group is also OpenSSL's affair: X25519, x25519.
    """
    text = re.sub(r"TLS_\w+ \(\d+/\d+ bits\)", "CIPHER", text)
    return re.sub(
        r"key-exchange \S+(?: \([^()]+\))?", "key-exchange GROUP", text
    )


def _lines(log):
    """The texts of log lines that Postfix has too, in their order."""
    texts = []
    for line in log.splitlines():
        # Postfix 3.10 has the queue's name for a message in front of some.
        match = re.search(r"/smtpd\[\d+\]: (?:NOQUEUE: )?(.*)", line)
        if match and re.match(
            r"(connect|disconnect|lost connection|timeout|too many|SSL_accept|"
            r"Anonymous|warning: TLS library|improper)",
            match.group(1),
        ):
            texts.append(_ciphers(match.group(1)))
    return texts


class LikePostfixTest(case.PostfixCase):
    def setUp(self):
        super().setUp()
        self.running = self.start_proxy("plain", workers=1)
        # What the check for readiness left in the log.
        self.running.wait_for_log(r"disconnect from .* quit=1 commands=1$")
        self.start = len(self.running.log())

    def both(self, act):
        """act(port) with Postfix, then with tlspost; their log lines."""
        before = len(self.postfix.log())
        act(self.postfix.ports["tls"])
        util.wait_until(
            lambda: "disconnect from" in self.postfix.log()[before:],
            5,
            "Postfix's summary of the session",
        )
        theirs = [
            line
            for line in self.postfix.log()[before:].splitlines()
            if "postfix/tls/smtpd" in line
        ]
        before = len(self.running.log())
        act(self.running.port)
        util.wait_until(
            lambda: "disconnect from" in self.running.log()[before:],
            5,
            "tlspost's summary of the session",
        )
        return _lines("\n".join(theirs)), _lines(self.running.log()[before:])

    def deliver(
        self, version, cipher=None, helo="EHLO", recipients=(_RECIPIENT,)
    ):
        context = self.certificates.trust(version)
        context.check_hostname = False
        if cipher:
            context.set_ciphers(cipher)

        def act(port):
            with smtpclient.Client(port) as client:
                self.assert_reply(client.command(helo + " client.test"), 250)
                if version:
                    # No name: Postfix logs it only with certificates by name.
                    client.starttls(context, server_name=None)
                    self.assert_reply(
                        client.command(helo + " client.test"), 250
                    )
                client.deliver(_SENDER, recipients, _CONTENT)
                client.quit()

        theirs, ours = self.both(act)
        self.assertEqual(ours, theirs)
        messages = self.postfix.messages()
        self.assertEqual(len(messages), 2)
        headers = {
            "mx.test" in message.content.decode(): message
            for message in messages
        }
        self.assertEqual(
            _header(headers[True].received(1)),
            _header(headers[False].received(0)),
        )

    def test_tls13(self):
        self.deliver("TLSv1.3")

    def test_tls12(self):
        self.deliver("TLSv1.2", "ECDHE-RSA-AES256-GCM-SHA384")

    def test_tls12_chacha(self):
        self.deliver("TLSv1.2", "ECDHE-RSA-CHACHA20-POLY1305")

    def test_plaintext(self):
        self.deliver(None)

    def test_helo(self):
        self.deliver(None, helo="HELO")

    def test_helo_and_tls(self):
        self.deliver("TLSv1.3", helo="HELO")

    def test_several_recipients(self):
        self.deliver(
            "TLSv1.3", recipients=("b@recipient.test", "c@recipient.test")
        )

    def test_refusals_in_the_summary(self):
        def act(port):
            with smtpclient.Client(port) as client:
                client.ehlo("client.test")
                client.command("NOOP")
                client.command("MAIL FROM:<%s>" % _SENDER)
                client.command("RCPT TO:<refused@recipient.test>")
                client.command("RCPT TO:<%s>" % _RECIPIENT)
                client.command("RSET")
                client.quit()

        theirs, ours = self.both(act)
        self.assertEqual(ours, theirs)

    def test_lost_connections(self):
        for line in ("EHLO client.test", "NOOP", "MAIL FROM:<%s>" % _SENDER):
            with self.subTest(line):

                def act(port, line=line):
                    with smtpclient.Client(port) as client:
                        client.ehlo("client.test")
                        client.command(line)

                theirs, ours = self.both(act)
                self.assertEqual(ours, theirs)

    def test_plaintext_where_tls_is_due(self):
        def act(port):
            with smtpclient.Client(port) as client:
                client.ehlo("client.test")
                self.assert_reply(client.command("STARTTLS"), 220)
                client.send(b"EHLO client.test\r\n")
                client.rest(5)

        theirs, ours = self.both(act)
        self.assertEqual(ours, theirs)

    def test_client_that_leaves_in_the_handshake(self):
        hello = smtpclient.client_hello(self.certificates.trust())

        def act(port):
            with smtpclient.Client(port) as client:
                client.ehlo("client.test")
                self.assert_reply(client.command("STARTTLS"), 220)
                client.send_raw(hello[:50])
                time.sleep(0.1)

        theirs, ours = self.both(act)
        self.assertEqual(ours, theirs)

    def test_client_that_does_not_trust_us(self):
        def act(port):
            with smtpclient.Client(port) as client:
                client.ehlo("client.test")
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                with self.assertRaises(ssl.SSLCertVerificationError):
                    client.starttls(context)

        theirs, ours = self.both(act)
        # Postfix sees the alert in the handshake or behind it; so may we.
        self.assertEqual(
            ours[-1].partition(" ehlo")[0], theirs[-1].partition(" ehlo")[0]
        )
        self.assertTrue(any("alert unknown ca" in line for line in ours), ours)
