"""Client certificates: asked for or required, trusted or not, and hostile.

The wording is compared with that of Postfix itself (its listener ccert), for
the log and for the Received header; but not for hostile names, where Postfix
lets quotes pass.
"""

import os
import re
import shutil
import ssl

import case
import smtpclient
import tlscase
import util

# Subjects that try to break out of the comment, the quotes or the line.
_HOSTILE = {
    "parentheses": "/CN=a (b) ) c (",
    "quotes": '/CN=x", Issuer "good.test" (verified OK))',
    "newline": "/CN=evil\nX-Injected: yes",
    "header": "/CN=evil)\r\n\tby fake.test with ESMTPS; now\r\nX-Injected: 1",
    "tab and control": "/CN=a\tb\x01c\x1bd\x7fe",
    "backslash": "/CN=a\\\\b\\\\",
    "8 bit": "/CN=m\u00fcller \u20ac",
    "brackets": "/CN=<a@b>[1.2.3.4];",
    "long": "/CN=" + "x" * 64,
}


def _without_what_differs(field):
    for pattern, mark in (
        (
            r"by \S+ \(\S+\) with (\S+) id [^\s;]+",
            r"by HOST (NAME) with \1 id ID",
        ),
        (case.DATE, "DATE"),
        (r"TLS_\w+ \(\d+/\d+ bits\)", "CIPHER"),
        (r"key-exchange \S+(?: \([^()]+\))?", "key-exchange GROUP"),
    ):
        field = re.sub(pattern, mark, field)
    return field


def _tls_line(log):
    match = re.search(r"\w+ TLS connection established from .*", log)
    return match and _without_what_differs(match.group())


class ClientCertificateCase(tlscase.TlsCase):
    def context(self, version=None, certificate=None):
        context = self.certificates.trust(version, certificate)
        context.check_hostname = False
        # Each server has its own taste; to be compared they need the same.
        context.set_ciphers("ECDHE+AES256+AESGCM")
        return context

    def asking(self, **changes):
        settings = {
            "tls_ask_ccert": "yes",
            "tls_CAfile": self.certificates.path("root.pem"),
        }
        settings.update(changes)
        return self.start_proxy("plain", **settings)

    def strangers(self):
        """A certificate of an authority that nobody here trusts."""
        self.certificates.issue("stranger-ca", use="authority", issuer=None)
        return self.certificates.issue(
            "stranger-client", use="client", issuer="stranger-ca"
        )


class LikePostfixTest(ClientCertificateCase):
    def deliver(self, port, context):
        with smtpclient.Client(port) as client:
            client.ehlo("client.test")
            client.starttls(context, server_name=None)
            client.ehlo("client.test")
            client.deliver("a@sender.test", ["b@recipient.test"], tlscase.BODY)
            client.quit()

    def compare(self, running, context):
        """The same visit to both: the same header, the same line."""
        self.postfix.clear()
        before = len(self.postfix.log())
        self.deliver(self.postfix.ports["ccert"], context)
        theirs = util.wait_until(
            lambda: _tls_line(self.postfix.log()[before:]),
            5,
            "Postfix's line about the handshake",
        )
        message = self.only_message()
        wanted = _without_what_differs(message.received(0))
        self.postfix.clear()
        before = len(running.log())
        self.deliver(running.port, context)
        ours = util.wait_until(
            lambda: _tls_line(running.log()[before:]),
            5,
            "our line about the handshake\n" + running.log()[before:],
        )
        message = self.only_message()
        self.assertEqual(_without_what_differs(message.received(1)), wanted)
        self.assertEqual(ours, theirs)

    def test_trust_words_and_clauses(self):
        self.certificates.issue("client", use="client")
        self.certificates.issue("rsa-client", key="rsa", use="client")
        self.certificates.issue("self-signed", use="client", issuer=None)
        self.certificates.issue("old-client", use="client", days=(-9, -1))
        # For servers: Postfix looks at the purpose too.
        self.certificates.issue("no-client")
        self.certificates.issue(
            "organization", use="client", subject="/O=Only/CN=with.org"
        )
        running = self.asking()
        for certificate in (
            None,
            "client",
            "rsa-client",
            "self-signed",
            "old-client",
            "no-client",
            "organization",
            self.strangers(),
        ):
            for version in ("TLSv1.2", "TLSv1.3"):
                with self.subTest(certificate, version=version):
                    self.compare(running, self.context(version, certificate))


class HostileTest(ClientCertificateCase):
    def header(self, running, context):
        """Our header of a message that came with that certificate."""
        self.postfix.clear()
        client = self.tls_client(running, context)
        client.deliver("a@sender.test", ["b@recipient.test"], tlscase.BODY)
        client.quit()
        message = self.only_message()
        self.assert_content(message, tlscase.BODY)
        return message.received(1)

    def test_hostile_names(self):
        running = self.asking()
        for name, subject in _HOSTILE.items():
            with self.subTest(name):
                certificate = self.certificates.issue(
                    "hostile-" + name.replace(" ", "-"),
                    use="client",
                    subject=subject,
                )
                self.check_header(
                    self.header(running, self.context(None, certificate))
                )

    def test_hostile_issuers(self):
        running = self.asking()
        for name in ("parentheses", "quotes", "header"):
            with self.subTest(name):
                authority = self.certificates.issue(
                    "issuer-" + name,
                    use="authority",
                    subject=_HOSTILE[name],
                )
                certificate = self.certificates.issue(
                    "below-" + name, use="client", issuer=authority
                )
                self.check_header(
                    self.header(running, self.context(None, certificate))
                )

    def check_header(self, field):
        """Whatever it says, it is one header field with one clause."""
        for line in field.rstrip("\n").split("\n")[1:]:
            self.assertRegex(line, r"^\t")
        clause = re.findall(r"^\t\(Client CN .*$", field, re.M)
        self.assertEqual(len(clause), 1, field)
        self.assertRegex(
            clause[0],
            r'^\t\(Client CN "[^"()\x00-\x1f\x7f]*", '
            r'Issuer "[^"()\x00-\x1f\x7f]*" \((verified OK|not verified)\)\)$',
        )


class TrustTest(ClientCertificateCase):
    def word(self, running, context, **how):
        """The trust word of a new handshake."""
        before = len(running.log())
        client = self.tls_client(running, context, **how)
        client.quit()
        return self.wait_for_line(
            running, before, r"(\w+) TLS connection established"
        ).group(1)

    def test_clauses_in_plain_words(self):
        self.certificates.issue("client", use="client")
        stranger = self.strangers()
        for asked, certificate, clause, word in (
            ("no", "client", "No client certificate requested", "Anonymous"),
            ("yes", None, "Client did not present a certificate", "Anonymous"),
            (
                "yes",
                "client",
                'Client CN "client.test", Issuer "intermediate.test" '
                "(verified OK)",
                "Trusted",
            ),
            (
                "yes",
                stranger,
                'Client CN "stranger-client.test", Issuer "stranger-ca.test" '
                "(not verified)",
                "Untrusted",
            ),
        ):
            running = self.asking(tls_ask_ccert=asked)
            for implicit in (False, True):
                with self.subTest(clause, implicit=implicit):
                    self.postfix.clear()
                    client = self.tls_client(
                        running, self.context(None, certificate), implicit
                    )
                    client.deliver(
                        "a@sender.test", ["b@recipient.test"], tlscase.BODY
                    )
                    client.quit()
                    self.assert_received(
                        self.only_message().received(1),
                        "client.test",
                        "127.0.0.1",
                        "ESMTPS",
                        "b@recipient.test",
                        ("TLSv1.3", client.tls.cipher()[0]),
                        certificate=clause
                        if asked == "yes"
                        else "No client certificate requested",
                    )
                    running.wait_for_log(word + " TLS connection established")

    def test_E040_expired_or_untrusted_at_may_goes_on(self):
        self.certificates.issue("old-client", use="client", days=(-9, -1))
        running = self.asking()
        for certificate in ("old-client", self.strangers()):
            with self.subTest(certificate):
                context = self.context(None, certificate)
                self.assertEqual(self.word(running, context), "Untrusted")
                self.assert_delivers(self.tls_client(running, context))

    def refused(self, running, context, implicit):
        """How a client without a trusted certificate is turned away."""
        try:
            client = self.tls_connect(running, context, implicit)
            reply = client.command("EHLO client.test")
            if reply.code == 250:
                reply = client.command("MAIL FROM:<a@sender.test>")
        except (ssl.SSLError, OSError, smtpclient.Closed):
            return "handshake"
        self.assertEqual(reply.code // 100, 5, reply.text)
        self.assertRegex(reply.enhanced, r"^5\.7\.\d+$")
        return "reply"

    def test_E040_required(self):
        """Whoever has none, or none that is trusted, gets no mail in."""
        self.certificates.issue("client", use="client")
        self.certificates.issue("old-client", use="client", days=(-9, -1))
        running = self.asking(
            tls_ask_ccert="no",
            tls_req_ccert="yes",
            tls_security_level="encrypt",
        )
        for implicit in (False, True):
            for version in ("TLSv1.2", "TLSv1.3"):
                for certificate in (None, "old-client", self.strangers()):
                    with self.subTest(
                        certificate, implicit=implicit, version=version
                    ):
                        self.refused(
                            running,
                            self.context(version, certificate),
                            implicit,
                        )
                with self.subTest("trusted", implicit=implicit):
                    self.postfix.clear()
                    context = self.context(version, "client")
                    self.assert_delivers(
                        self.tls_client(running, context, implicit)
                    )
                    self.assertEqual(
                        self.only_message().sender, "again@sender.test"
                    )

    def test_E040_required_is_not_got_round_by_resumption(self):
        self.certificates.issue("client", use="client")
        running = self.asking(
            tls_req_ccert="yes", tls_security_level="encrypt"
        )
        context = self.context("TLSv1.3", "client")
        client = self.tls_client(running, context)
        client.quit()
        again = self.tls_client(running, context, session=client.tls.session)
        self.assert_delivers(again)

    def test_E034_required_ends_with_the_authority(self):
        """A session from before is not resumed when its authority has gone."""
        self.certificates.issue("client", use="client")
        self.strangers()
        authorities = os.path.join(self.folder(), "ca.pem")
        shutil.copy(self.certificates.path("root.pem"), authorities)
        running = self.asking(
            tls_req_ccert="yes",
            tls_security_level="encrypt",
            tls_CAfile=authorities,
        )
        context = self.context("TLSv1.3", "client")
        client = self.tls_client(running, context)
        client.quit()
        shutil.copy(self.certificates.path("stranger-ca.pem"), authorities)
        self.reload(running)
        again = self.tls_client(running, context, session=client.tls.session)
        self.assertFalse(again.tls.session_reused)
        reply = again.command("MAIL FROM:<a@sender.test>")
        self.assert_reply(reply, 550, r"5\.7\.1")

    def test_E040_required_for_auth_too(self):
        """A stranger does not get to try passwords."""
        self.certificates.issue("client", use="client")
        running = self.start_learned_proxy(
            "sasl",
            tls_CAfile=self.certificates.path("root.pem"),
            tls_req_ccert="yes",
            tls_security_level="encrypt",
        )
        stranger = self.tls_client(running)
        self.assertNotIn("AUTH", stranger.extensions)
        reply = stranger.command("AUTH PLAIN AHVzZXIAd3Jvbmc=")
        self.assert_reply(reply, 550, r"5\.7\.1")
        partner = self.tls_client(running, self.context(None, "client"))
        self.assertIn("AUTH", partner.extensions)

    def test_E040_required_is_ignored_where_tls_is_optional(self):
        """As in Postfix: who can come in plaintext need not prove much."""
        running = self.asking(tls_req_ccert="yes")
        running.wait_for_log(r"warning: .*tls_req_ccert")
        self.assert_delivers(self.tls_client(running))
        self.assert_delivers(self.plain_session(running))

    def test_authorities_in_a_directory(self):
        self.certificates.issue("client", use="client")
        context = self.context(None, "client")
        folder = self.folder()
        shutil.copy(self.certificates.path("root.pem"), folder)
        running = self.asking(tls_CAfile=None, tls_CApath=folder)
        # The how-to's forgotten step.
        running.wait_for_log(r"warning: .*%s.*openssl rehash" % folder)
        self.assertEqual(self.word(running, context), "Untrusted")
        self.certificates.rehash(folder)
        running = self.asking(tls_CAfile=None, tls_CApath=folder)
        self.assertEqual(self.word(running, context), "Trusted")
        self.assertNotIn("rehash", running.log())

    def test_authorities_that_are_missing(self):
        for name in ("tls_CAfile", "tls_CApath"):
            with self.subTest(name):
                self.assert_refuses_to_start(
                    "/nowhere/ca", tls_ask_ccert="yes", **{name: "/nowhere/ca"}
                )
        garbage = self.certificates.path("garbage.pem")
        self.assert_refuses_to_start(
            garbage, tls_ask_ccert="yes", tls_CAfile=garbage
        )

    def test_the_system_s_authorities_are_not_ours(self):
        """Neither file nor directory: nobody is trusted, and it is said."""
        self.certificates.issue("client", use="client")
        running = self.asking(tls_CAfile=None)
        self.assertEqual(
            self.word(running, self.context(None, "client")), "Untrusted"
        )

    def test_many_authorities(self):
        """A file as large as the system's is read and works."""
        system = "/etc/ssl/certs/ca-certificates.crt"
        if not os.path.exists(system):
            self.skipTest("there is no %s" % system)
        self.certificates.issue("client", use="client")
        authorities = self.file(
            util.read_text(system)
            + util.read_text(self.certificates.path("root.pem"))
        )
        running = self.asking(tls_CAfile=authorities)
        for version in ("TLSv1.2", "TLSv1.3"):
            self.assertEqual(
                self.word(running, self.context(version, "client")), "Trusted"
            )
