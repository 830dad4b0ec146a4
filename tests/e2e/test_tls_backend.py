"""TLS to the backend: levels none, may, encrypt and verify.

Against the real Postfix where it is about certificates and what Postfix sees,
against a fake one where the backend has to misbehave.
"""

import os
import re
import shutil
import subprocess
import tempfile
import time
import unittest.mock

import case
import debian
import fakebackend
import smtpclient

_MAIL, _RCPT = "MAIL FROM:<a@sender.test>", "RCPT TO:<b@recipient.test>"
_BODY = b"Subject: x\r\n\r\ny\r\n"
_BEFORE_TLS = {"EHLO", "STARTTLS", "QUIT"}


class PostfixBackendTest(case.PostfixCase):
    def start(self, level, listener="secure", **changes):
        settings = {
            "workers": 1,
            "backend_tls_security_level": level,
            "backend_tls_servername": "backend.test",
            "backend_tls_CAfile": self.certificates.path("root.pem"),
            "pool_wait_timeout": "3s",
        }
        settings.update(changes)
        return self.start_proxy(listener, **settings)

    def deliver(self, running):
        """A message that goes through; what the backend wrote on top of it."""
        self.postfix.clear()
        client = self.tls_session(running)
        client.deliver("a@sender.test", ["b@recipient.test"], _BODY)
        client.quit()
        message = self.only_message()
        self.assert_content(message, _BODY)
        return message

    def assert_no_mail(self, running, *patterns):
        """MAIL is refused for now, nothing arrives, and the log says why."""
        before = len(self.postfix.log())
        client = self.tls_session(running)
        reply = client.command(_MAIL)
        self.assert_reply(reply, 451, r"4\.[37]\.\d")
        client.quit()
        self.assertEqual(self.postfix.messages(), [])
        for pattern in patterns:
            running.wait_for_log(pattern)
        self.assertNotRegex(
            self.postfix.log()[before:],
            r"secure/smtpd.* client=|disconnect.* mail=",
        )

    def test_levels_that_use_tls(self):
        for level in ("may", "encrypt", "verify"):
            with self.subTest(level):
                message = self.deliver(self.start(level))
                self.assertIn("(using TLSv1.3 with", message.received(0))
                self.assertIn("with ESMTPS", message.received(0))
                # The identity is given inside TLS, as it is without.
                self.assertEqual(message.client, "unknown[127.0.0.1]")
                self.assertEqual(message.helo, "client.test")

    def test_none_with_a_backend_that_offers_it(self):
        message = self.deliver(self.start("none"))
        self.assertNotIn("TLS", message.received(0))

    def test_may_with_a_backend_that_does_not_offer_it(self):
        message = self.deliver(self.start("may", "reuse"))
        self.assertNotIn("TLS", message.received(0))

    def test_may_takes_any_certificate(self):
        for listener, changes in (
            ("expired", {}),
            ("secure", {"backend_tls_servername": "wrong.test"}),
            (
                "secure",
                {"backend_tls_CAfile": self.certificates.path("rsa.pem")},
            ),
        ):
            for level in ("may", "encrypt"):
                with self.subTest(listener, level=level, **changes):
                    message = self.deliver(
                        self.start(level, listener, **changes)
                    )
                    self.assertIn("(using TLSv1", message.received(0))

    def test_verify_refuses_a_wrong_name(self):
        self.assert_no_mail(
            self.start("verify", backend_tls_servername="wrong.test"),
            r"(?i)wrong\.test|host ?name mismatch",
        )

    def test_verify_refuses_an_expired_certificate(self):
        self.assert_no_mail(self.start("verify", "expired"), r"(?i)expired")

    def test_verify_refuses_an_authority_that_is_not_trusted(self):
        self.certificates.issue("stranger", use="authority", issuer=None)
        self.assert_no_mail(
            self.start(
                "verify",
                backend_tls_CAfile=self.certificates.path("stranger.pem"),
            ),
            r"(?i)certificate.*(issuer|self.signed|verify|authority)",
        )

    def test_verify_with_the_system_s_authorities(self):
        """Neither CAfile nor CApath: ours is none of the system's."""
        self.assert_no_mail(self.start("verify", backend_tls_CAfile=None))

    def test_verify_with_the_authorities_that_the_environment_names(self):
        """They may lie anywhere, behind the walls too."""
        for name, value in (
            ("SSL_CERT_FILE", self.certificates.path("root.pem")),
            ("SSL_CERT_DIR", "/nowhere:" + self.hashed_authorities()),
        ):
            with self.subTest(name), unittest.mock.patch.dict(
                os.environ, {name: value}
            ):
                self.deliver(self.start("verify", backend_tls_CAfile=None))

    def hashed_authorities(self):
        """A folder with the root's certificate under its hashed name."""
        folder = tempfile.mkdtemp(prefix="tlspost-e2e-")
        self.addCleanup(shutil.rmtree, folder)
        shutil.copy(self.certificates.path("root.pem"), folder)
        openssl, environment = debian.program("openssl")
        subprocess.run(
            [openssl, "rehash", folder],
            env=environment or None,
            check=True,
            timeout=30,
        )
        return folder

    def test_verify_takes_the_name_from_backend(self):
        port = self.postfix.ports["secure"]
        running = self.start(
            "verify",
            backend="localhost:%d" % port,
            backend_tls_servername=None,
        )
        self.deliver(running)
        self.postfix.clear()
        # The address is no name of the certificate.
        self.assert_no_mail(
            self.start("verify", backend_tls_servername=None),
            r"127\.0\.0\.1",
        )

    def test_encrypt_to_a_backend_without_starttls(self):
        """4xx, and never a message in plaintext."""
        for level in ("encrypt", "verify"):
            with self.subTest(level):
                self.assert_no_mail(
                    self.start(level, "reuse"), r"(?i)warning.*STARTTLS"
                )

    def test_connection_reuse_under_tls(self):
        """The pool does for TLS connections what it does for plain ones."""
        running = self.start(
            "encrypt", backend_max_connections=1, backend_warm_spares=0
        )
        for number in range(3):
            client = self.tls_session(
                running, source="127.0.8.%d" % (number + 1)
            )
            self.assert_delivers(client, "s%d@sender.test" % number)
            client.quit()
        self.assertEqual(
            sorted(message.client for message in self.postfix.messages()),
            ["unknown[127.0.8.%d]" % number for number in (1, 2, 3)],
        )
        self.assertEqual(
            len(
                re.findall("secure/smtpd.*: connect from", self.postfix_log())
            ),
            1,
            self.postfix_log(),
        )

    def test_large_message_under_tls(self):
        content = b"Subject: large\r\n\r\n" + b"0123456789abcdef\r\n" * 200000
        client = self.tls_session(self.start("encrypt"))
        client.deliver("a@sender.test", ["b@recipient.test"], content)
        self.assert_content(self.only_message(), content)

    def test_loglevel(self):
        """The words of Postfix's smtp(8): Untrusted, Trusted, Verified."""
        for level, changes, word in (
            ("verify", {}, "Verified"),
            ("encrypt", {}, "Verified|Trusted"),
            (
                "encrypt",
                {"backend_tls_CAfile": self.certificates.path("rsa.pem")},
                "Untrusted",
            ),
        ):
            with self.subTest(level, **changes):
                running = self.start(level, backend_tls_loglevel=1, **changes)
                self.deliver(running)
                running.wait_for_log(
                    r"(%s) TLS connection established to .*127\.0\.0\.1.*: "
                    r"TLSv1\.3 with cipher TLS_\w+ \(\d+/\d+ bits\)" % word
                )

    def test_loglevel_0(self):
        running = self.start("encrypt")
        self.deliver(running)
        self.assertNotIn("TLS connection established to", running.log())

    def test_protocols(self):
        running = self.start("encrypt", backend_tls_protocols="<=TLSv1.2")
        self.assertIn("TLSv1.2", self.deliver(running).received(0))

    def test_note_starttls_offer(self):
        running = self.start(
            "none", backend_tls_note_starttls_offer="yes", workers=2
        )
        for _ in range(6):
            client = self.tls_session(running)
            self.assert_delivers(client)
            client.quit()
        running.wait_for_log(r"disconnect from")
        self.assertEqual(running.log().count("Host offered STARTTLS"), 1)

    def test_no_note_where_it_would_be_wrong(self):
        for level, listener, note in (
            ("none", "secure", "no"),
            ("none", "reuse", "yes"),
            ("may", "secure", "yes"),
        ):
            with self.subTest(level, listener=listener, note=note):
                running = self.start(
                    level, listener, backend_tls_note_starttls_offer=note
                )
                self.deliver(running)
                self.assertNotIn("offered STARTTLS", running.log())


class FakeBackendTest(case.Case):
    def start(self, backend, level, **changes):
        settings = {
            "workers": 1,
            "backend_tls_security_level": level,
            "backend_warm_spares": 0,
            "pool_wait_timeout": "2s",
        }
        settings.update(changes)
        return self.start_proxy(backend.address, **settings)

    def backend(self, context=None, **how):
        backend = fakebackend.FakeBackend(context, **how)
        self.addCleanup(backend.close)
        return backend

    def mail(self, running):
        with smtpclient.Client(running.port) as client:
            client.ehlo()
            reply = client.command(_MAIL)
            if reply.code == 250:
                self.assert_reply(client.command(_RCPT), 250)
                reply = client.data(_BODY)
            client.quit()
            return reply

    def test_starttls_is_refused(self):
        for answer in (b"454 4.7.0 Not now\r\n", b"502 5.5.1 No\r\n"):
            for level in ("encrypt", "verify"):
                with self.subTest(answer, level=level):
                    backend = self.backend(starttls=answer)
                    running = self.start(backend, level)
                    self.assertEqual(self.mail(running).code, 451)
                    self.assertLessEqual(
                        set(backend.verbs(False)), _BEFORE_TLS
                    )
                    running.wait_for_log(r"(?i)STARTTLS")

    def test_handshake_fails(self):
        """Closed in the handshake; garbage; an alert: never plaintext."""
        for behind in (b"", b"\x15\x03\x01\x00\x02\x02\x28", b"garbage\r\n"):
            with self.subTest(behind):
                backend = self.backend(starttls=b"220 2.0.0 Go\r\n" + behind)
                running = self.start(backend, "encrypt")
                self.assertEqual(self.mail(running).code, 451)
                self.assertLessEqual(set(backend.verbs(False)), _BEFORE_TLS)

    def test_starttls_is_offered_only_at_times(self):
        """A downgrade: the connection without the offer gets no mail."""
        secure = fakebackend.server_context(
            self.certificates, self.certificates.issue("fake")
        )
        backend = self.backend(secure, offers=())
        running = self.start(
            backend,
            "encrypt",
            backend_backoff_min="50ms",
            backend_backoff_max="200ms",
        )
        self.assertEqual(self.mail(running).code, 451)
        backend.offer("STARTTLS")

        def taken():
            return self.mail(running).code == 250

        case.util.wait_until(taken, 10, "mail through the backend's TLS")
        self.assertNotIn("MAIL", backend.verbs(False))
        backend.offer()
        backend.drop_all()
        time.sleep(0.1)
        self.assertEqual(self.mail(running).code, 451)
        self.assertNotIn("MAIL", backend.verbs(False))

    def test_handshake_that_hangs(self):
        """It has the deadline of a connect, and clients an answer."""
        backend = self.backend(hang=True)
        running = self.start(
            backend, "encrypt", backend_connect_timeout="500ms"
        )
        started = time.monotonic()
        self.assertEqual(self.mail(running).code, 451)
        self.assertLess(time.monotonic() - started, 4)
        self.assertLessEqual(set(backend.verbs(False)), _BEFORE_TLS)

    def test_may_goes_on_when_starttls_is_refused(self):
        backend = self.backend(starttls=b"454 4.7.0 Not now\r\n")
        self.assert_reply(self.mail(self.start(backend, "may")), 250)
        self.assertIn("MAIL", backend.verbs(False))
