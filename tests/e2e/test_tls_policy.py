"""tls_protocols, ciphers, groups; and [[tls_policy]] for some clients only."""

import ssl

import smtpclient
import tlscase

_PRINTER = "127.0.9.1"  # in the network of the policies below
_NETWORK = "127.0.9.0/24"


def _client_can_speak(version):
    """Whether this machine's Python can be an old client at all."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    try:
        tlscase.insecure(context, version)
        return bool(smtpclient.client_hello(context))
    except (ssl.SSLError, ValueError):
        return False


class PolicyCase(tlscase.TlsCase):
    def context(self, version=None, ciphers=None, group=None):
        context = self.certificates.trust()
        if version in ("TLSv1", "TLSv1_1"):
            tlscase.insecure(context, version)
        elif version:
            context = self.certificates.trust(version)
        if ciphers:
            context.set_ciphers(ciphers)
        if group:
            context.set_ecdh_curve(group)
        return context

    def handshake(self, running, context, **how):
        """(version, cipher) of a handshake, or None when it fails."""
        try:
            client = self.tls_client(running, context, **how)
        except (ssl.SSLError, smtpclient.Closed, OSError):
            return None
        result = client.tls.version(), client.tls.cipher()[0]
        self.assert_delivers(client)
        client.quit()
        return result


class ProtocolsTest(PolicyCase):
    def test_versions(self):
        for setting, accepted in (
            (None, {"TLSv1.2", "TLSv1.3"}),
            (">=TLSv1.3", {"TLSv1.3"}),
            ("<=TLSv1.2, >=TLSv1.2", {"TLSv1.2"}),
            (">=TLSv1.2, <=TLSv1.3", {"TLSv1.2", "TLSv1.3"}),
            ("!SSLv2, !SSLv3, !TLSv1, !TLSv1.1", {"TLSv1.2", "TLSv1.3"}),
            ("TLSv1.3", {"TLSv1.3"}),
        ):
            running = self.start_proxy(tls_protocols=setting)
            for version in ("TLSv1.2", "TLSv1.3"):
                for implicit in (False, True):
                    with self.subTest(
                        setting, version=version, implicit=implicit
                    ):
                        got = self.handshake(
                            running, self.context(version), implicit=implicit
                        )
                        self.assertEqual(
                            got and got[0],
                            version if version in accepted else None,
                        )

    def test_the_defaults_refuse_what_is_old(self):
        running = self.start_proxy()
        for version in ("TLSv1", "TLSv1_1"):
            if not _client_can_speak(version):
                continue
            self.assertIsNone(self.handshake(running, self.context(version)))
        for ciphers in ("AES128-SHA", "AES128-GCM-SHA256", "DHE+AESGCM"):
            # Without forward secrecy, or with groups of old.
            with self.subTest(ciphers):
                self.assertIsNone(
                    self.handshake(running, self.context("TLSv1.2", ciphers))
                )

    def test_the_defaults_prefer_aead_and_ecdsa(self):
        running = self.start_proxy(
            tls_cert_file=None,
            tls_key_file=None,
            tls_chain_files=[
                self.certificates.path("rsa.combined.pem"),
                self.certificates.path("ecdsa.combined.pem"),
            ],
        )
        # The client's own order is another.
        got = self.handshake(
            running,
            self.context(
                "TLSv1.2",
                "ECDHE-RSA-AES256-SHA:ECDHE-RSA-AES256-GCM-SHA384:"
                "ECDHE-ECDSA-AES256-SHA:ECDHE-ECDSA-AES128-GCM-SHA256",
            ),
        )
        self.assertEqual(got, ("TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"))

    def test_ciphers(self):
        running = self.start_proxy(
            tls_cipherlist="ECDHE-RSA-AES256-GCM-SHA384",
            tls_ciphersuites="TLS_CHACHA20_POLY1305_SHA256",
        )
        self.assertEqual(
            self.handshake(running, self.context("TLSv1.2")),
            ("TLSv1.2", "ECDHE-RSA-AES256-GCM-SHA384"),
        )
        self.assertEqual(
            self.handshake(running, self.context("TLSv1.3")),
            ("TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256"),
        )
        self.assertIsNone(
            self.handshake(
                running,
                self.context("TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256"),
            )
        )

    def test_groups(self):
        for separator in (":", ",", " "):
            running = self.start_proxy(
                tls_eecdh_auto_curves=separator.join(["P-384", "P-256"])
            )
            before = len(running.log())
            self.assertIsNotNone(self.handshake(running, self.context()))
            self.wait_for_line(
                running, before, r"key-exchange ECDHE \(secp384r1"
            )
            self.assertIsNone(
                self.handshake(running, self.context(group="X25519"))
            )

    def test_wrong_words(self):
        for name, value in (
            ("tls_protocols", ">=TLSv9"),
            ("tls_protocols", ">=TLSv1.3, <=TLSv1.2"),
            ("tls_protocols", "nonsense"),
            ("tls_cipherlist", "NO-SUCH-CIPHER"),
            ("tls_ciphersuites", "TLS_NO_SUCH_SUITE"),
            ("tls_eecdh_auto_curves", "P-384:P-9999"),
        ):
            with self.subTest(name, value=value):
                self.assert_refuses_to_start(
                    name, value.split(":")[-1], **{name: value}
                )


class ClientPolicyTest(PolicyCase):
    def test_an_old_printer_and_the_internet(self):
        """TLS 1.0 for one network; for the others as without it."""
        if not _client_can_speak("TLSv1"):
            self.skipTest("this OpenSSL has no TLS 1.0 for the client")
        running = self.start_with_file(
            "[[tls_policy]]\nclients = ['%s']\ntls_protocols = '>=TLSv1'\n"
            % _NETWORK
        )
        for implicit in (False, True):
            for version in ("TLSv1", "TLSv1_1"):
                with self.subTest(version, implicit=implicit):
                    got = self.handshake(
                        running,
                        self.context(version),
                        source=_PRINTER,
                        implicit=implicit,
                    )
                    self.assertEqual(
                        got and got[0],
                        {"TLSv1": "TLSv1", "TLSv1_1": "TLSv1.1"}[version],
                    )
                    self.assertIsNone(
                        self.handshake(
                            running, self.context(version), implicit=implicit
                        )
                    )
        # A modern client of that network loses nothing.
        got = self.handshake(running, self.context(), source=_PRINTER)
        self.assertEqual(got[0], "TLSv1.3")
        # Nor is anything weaker open to the others.
        self.assertIsNone(
            self.handshake(running, self.context("TLSv1.2", "AES128-SHA"))
        )

    def test_by_name(self):
        if not _client_can_speak("TLSv1"):
            self.skipTest("this OpenSSL has no TLS 1.0 for the client")
        running = self.start_with_file(
            "[[tls_policy]]\nsni = ['old.test', '.old.test']\n"
            "tls_protocols = '>=TLSv1'\n"
        )
        for server_name, accepted in (
            ("old.test", True),
            ("OLD.test", True),
            ("mx.old.test", True),
            ("cold.test", False),
            ("mx.test", False),
            (None, False),
        ):
            with self.subTest(server_name):
                got = self.handshake(
                    running, self.context("TLSv1"), server_name=server_name
                )
                self.assertEqual(got is not None, accepted)

    def test_stricter_for_some(self):
        running = self.start_with_file(
            "[[tls_policy]]\nclients = ['%s']\ntls_protocols = '>=TLSv1.3'\n"
            "tls_ciphersuites = 'TLS_AES_256_GCM_SHA384'\n"
            "tls_eecdh_auto_curves = 'P-384'\n" % _NETWORK
        )
        self.assertEqual(
            self.handshake(running, self.context(), source=_PRINTER),
            ("TLSv1.3", "TLS_AES_256_GCM_SHA384"),
        )
        running.wait_for_log(r"key-exchange ECDHE \(secp384r1")
        self.assertIsNone(
            self.handshake(running, self.context("TLSv1.2"), source=_PRINTER)
        )
        self.assertIsNotNone(self.handshake(running, self.context("TLSv1.2")))

    def test_the_first_that_fits(self):
        running = self.start_with_file(
            "[[tls_policy]]\nclients = ['127.0.9.1']\nsni = ['a.test']\n"
            "tls_protocols = '<=TLSv1.2'\n"
            "[[tls_policy]]\nclients = ['%s']\ntls_protocols = '>=TLSv1.3'\n"
            % _NETWORK
        )
        for source, server_name, wanted in (
            (_PRINTER, "a.test", "TLSv1.2"),
            (_PRINTER, "b.test", "TLSv1.3"),
            ("127.0.9.2", "a.test", "TLSv1.3"),
        ):
            with self.subTest(source, server_name=server_name):
                got = self.handshake(
                    running,
                    self.context(),
                    source=source,
                    server_name=server_name,
                )
                self.assertEqual(got[0], wanted)
        self.assertIsNone(
            self.handshake(
                running,
                self.context("TLSv1.3"),
                source=_PRINTER,
                server_name="a.test",
            )
        )

    def test_level_for_a_network(self):
        running = self.start_with_file(
            "[[tls_policy]]\nclients = ['%s']\n"
            "tls_security_level = 'encrypt'\n"
            "[[tls_policy]]\nclients = ['127.0.10.0/24']\n"
            "tls_security_level = 'none'\n" % _NETWORK
        )
        client = self.plain_session(running, source=_PRINTER)
        self.assert_reply(
            client.command("MAIL FROM:<a@sender.test>"), 530, r"5\.7\.0"
        )
        client.starttls(self.certificates.trust())
        client.ehlo()
        self.assert_delivers(client)
        client = self.plain_session(running, source="127.0.10.1")
        self.assertNotIn("STARTTLS", client.extensions)
        self.assert_reply(client.command("STARTTLS"), 502, r"5\.5\.1")
        self.assert_delivers(client)
        client = self.plain_session(running)
        self.assertIn("STARTTLS", client.extensions)
        self.assert_delivers(client)

    def test_certificates_are_asked_of_some(self):
        name = self.certificates.issue("client", use="client")
        running = self.start_with_file(
            "[[tls_policy]]\nclients = ['%s']\ntls_ask_ccert = true\n"
            % _NETWORK,
            tls_CAfile=self.certificates.path("root.pem"),
        )
        for source, clause in (
            (_PRINTER, 'Client CN "client.test"'),
            ("127.0.0.1", "No client certificate requested"),
        ):
            self.postfix.clear()
            client = self.tls_client(
                running,
                self.certificates.trust(certificate=name),
                source=source,
            )
            self.assert_delivers(client)
            self.assertIn(clause, self.only_message().received(1))

    def test_a_session_does_not_cross_policies(self):
        """Made where a certificate was not asked for, not resumed where it
        is."""
        name = self.certificates.issue("client", use="client")
        running = self.start_with_file(
            "[[tls_policy]]\nclients = ['%s']\ntls_ask_ccert = true\n"
            % _NETWORK,
            tls_CAfile=self.certificates.path("root.pem"),
        )
        for version in ("TLSv1.2", "TLSv1.3"):
            context = self.certificates.trust(version, name)
            first = self.tls_client(running, context)
            first.quit()
            session = first.tls.session
            again = self.tls_client(running, context, session=session)
            self.assertTrue(again.tls.session_reused)
            other = self.tls_client(
                running, context, session=session, source=_PRINTER
            )
            self.assertFalse(other.tls.session_reused)

    def test_required_of_some(self):
        name = self.certificates.issue("client", use="client")
        running = self.start_with_file(
            "[[tls_policy]]\nclients = ['%s']\ntls_req_ccert = true\n"
            "tls_security_level = 'encrypt'\n" % _NETWORK,
            tls_CAfile=self.certificates.path("root.pem"),
        )
        context = self.certificates.trust(certificate=name)
        self.assert_delivers(
            self.tls_client(running, context, source=_PRINTER)
        )
        self.postfix.clear()
        try:
            client = self.tls_client(running, source=_PRINTER)
            reply = client.command("MAIL FROM:<a@sender.test>")
            self.assertEqual(reply.code // 100, 5, reply.text)
        except (ssl.SSLError, smtpclient.Closed, OSError):
            pass
        self.assertEqual(self.postfix.messages(), [])
        self.assert_delivers(self.tls_client(running))

    def test_tables_that_are_wrong(self):
        for text, words in (
            ("clients = ['192.0.2.0/99']", ["192.0.2.0/99"]),
            ("clients = ['everywhere']", ["everywhere"]),
            ("no_such_key = 1", ["no_such_key"]),
            (
                "sni = ['a.test']\ntls_security_level = 'encrypt'",
                ["tls_security_level", "sni"],
            ),
            (
                "clients = ['192.0.2.1']\ntls_protocols = 'x'",
                ["tls_protocols"],
            ),
            ("hostname = 'x'", ["hostname"]),
        ):
            with self.subTest(text):
                settings = tlscase.proxy.settings_for(
                    0, "127.0.0.1:1", self.certificates
                )
                path = self.file(
                    tlscase.toml(settings) + "[[tls_policy]]\n" + text, ".toml"
                )
                result = tlscase.proxy.run("--config=" + path)
                self.assertGreater(result.returncode, 0, result.stderr)
                lines = result.stderr.strip().splitlines()
                self.assertEqual(len(lines), 1, result.stderr)
                for word in words + [path + ":"]:
                    self.assertIn(word, lines[0])
