"""Which certificate a client is shown, and what is said of bad files.

The how-to's rows: one PEM for all, certbot's links, mode and owner; and the
certificates by name (SNI), several kinds of keys, OCSP staples.
"""

import os
import re
import shutil
import subprocess

import certbot
import debian
import tlscase
import tlspeers


class FileTest(tlscase.TlsCase):
    def test_one_file_for_key_and_certificate(self):
        """tls_key_file is by default the certificate's."""
        for name in ("rsa", "ecdsa"):
            with self.subTest(name):
                running = self.start_proxy(
                    tls_cert_file=self.certificates.path(
                        name + ".combined.pem"
                    ),
                    tls_key_file=None,
                )
                client = self.tls_client(running)
                self.assert_shows(client, name)
                self.assert_delivers(client)

    def test_key_behind_the_certificates(self):
        chain = self.file("")
        with open(chain, "w", encoding="ascii") as file:
            for name in ("ecdsa.chain.pem", "ecdsa.key"):
                with open(self.certificates.path(name)) as source:
                    file.write("A remark\n" + source.read())
        running = self.start_proxy(tls_cert_file=chain, tls_key_file=None)
        self.assert_shows(self.tls_client(running), "ecdsa")

    def test_combined_file_without_a_key(self):
        chain = self.certificates.path("rsa.chain.pem")
        self.assert_refuses_to_start(
            chain, "key", tls_cert_file=chain, tls_key_file=None
        )

    def test_encrypted_key_in_the_combined_file(self):
        chain = self.file("")
        with open(chain, "w", encoding="ascii") as file:
            for name in ("encrypted.key", "rsa.chain.pem"):
                with open(self.certificates.path(name)) as source:
                    file.write(source.read())
        self.assert_refuses_to_start(
            chain,
            "passphrase",
            "openssl",
            tls_cert_file=chain,
            tls_key_file=None,
        )

    def test_certbot_s_links(self):
        lineage = certbot.Lineage(self.certificates, self.folder(), "rsa")
        running = self.start_proxy(**lineage.settings())
        client = self.tls_client(running)
        self.assert_shows(client, "rsa")
        self.assert_delivers(client)
        self.assertNotIn("warning: ", running.log())

    def test_mode_is_the_target_s_not_the_link_s(self):
        lineage = certbot.Lineage(self.certificates, self.folder(), "rsa")
        os.chmod(lineage.archived("privkey"), 0o644)
        running = self.start_proxy(**lineage.settings())
        warning = running.wait_for_log(r"^.*warning.*privkey.*$").group()
        self.assertIn("chmod 600", warning)
        self.assert_refuses_to_start(
            "privkey",
            "chmod 600",
            tls_strict_key_permissions="yes",
            **lineage.settings(),
        )

    def test_a_directory_that_others_may_write_in(self):
        """Whoever may replace the key's file need not read it."""
        lineage = certbot.Lineage(self.certificates, self.folder(), "rsa")
        folder = os.path.dirname(lineage.archived("privkey"))
        os.chmod(folder, 0o777)
        running = self.start_proxy(**lineage.settings())
        running.wait_for_log(r"warning: .*" + re.escape(folder))
        self.assert_refuses_to_start(
            folder, tls_strict_key_permissions="yes", **lineage.settings()
        )

    def test_link_to_nowhere(self):
        lineage = certbot.Lineage(self.certificates, self.folder(), "rsa")
        lineage.lose("privkey")
        self.assert_refuses_to_start(lineage.privkey, **lineage.settings())

    def test_expired_certificate_is_served_with_a_warning(self):
        """Mail servers hardly look at it; no mail at all would be worse."""
        name = self.certificates.issue("old", days=(-9, -1))
        running = self.start_proxy(
            tls_cert_file=self.certificates.path(name + ".combined.pem"),
            tls_key_file=None,
        )
        running.wait_for_log(r"warning: .*old\.combined\.pem.*expired")
        client = self.connect(running)
        client.ehlo()
        context = self.certificates.trust()
        context.check_hostname = False
        context.verify_mode = tlscase.ssl.CERT_NONE
        client.starttls(context)
        client.ehlo()
        self.assert_delivers(client)

    def test_E039_no_certificate_no_offer(self):
        running = self.start_proxy(
            listen_tls=None, tls_cert_file=None, tls_key_file=None
        )
        client = self.plain_session(running)
        self.assertNotIn("STARTTLS", client.extensions)
        self.assertIn(client.command("STARTTLS").code, (454, 502))
        self.assert_delivers(client)
        running.wait_for_log(r"warning: .*certificate.*STARTTLS")

    def test_implicit_tls_needs_a_certificate(self):
        self.assert_refuses_to_start(
            "listen_tls",
            "tls_cert_file",
            listen_tls="127.0.0.1:0",
            tls_cert_file=None,
            tls_key_file=None,
        )

    def test_chain_files_exclude_the_single_file(self):
        self.assert_refuses_to_start(
            "tls_chain_files",
            "tls_cert_file",
            tls_chain_files=[self.certificates.path("ecdsa.combined.pem")],
        )


class ServerNameTest(tlscase.TlsCase):
    def setUp(self):
        super().setUp()
        for name, names in (
            ("exact", "DNS:a.wild.test"),
            ("wild", "DNS:*.wild.test"),
            ("deep", "DNS:*.deep.wild.test"),
        ):
            self.certificates.issue(name, names=names)
            self.certificates.issue(name + "-rsa", key="rsa", names=names)

    def path(self, name):
        return self.certificates.path(name + ".combined.pem")

    def start(self, **changes):
        names = self.file(
            "# names of ours\n"
            "\n"
            ".wild.test  %s,%s\n"
            "a.wild.test\t%s\n"
            ".deep.wild.test %s\n"
            % (
                self.path("wild"),
                self.path("wild-rsa"),
                self.path("exact"),
                self.path("deep"),
            )
        )
        return self.start_proxy(tls_server_sni_maps=names, **changes)

    def test_names(self):
        running = self.start()
        for server_name, wanted in (
            ("a.wild.test", "exact"),
            ("b.wild.test", "wild"),
            ("A.Wild.TEST", "exact"),
            ("B.WILD.test", "wild"),
            ("x.deep.wild.test", "deep"),
            ("deep.wild.test", "wild"),
            ("wild.test", "rsa"),
            ("awild.test", "rsa"),
            ("mx.test", "rsa"),
            (None, "rsa"),
        ):
            for implicit in (False, True):
                with self.subTest(server_name, implicit=implicit):
                    client = self.tls_connect(
                        running, None, implicit, server_name
                    )
                    self.assert_shows(client, wanted)
                    client.close()

    def test_E025_an_unknown_name_gets_the_default(self):
        running = self.start()
        for server_name in ("stranger.test", "x" * 60 + ".test", "a_b.test"):
            with self.subTest(server_name):
                client = self.tls_client(running, server_name=server_name)
                self.assert_shows(client, "rsa")
                self.assert_delivers(client)
                running.wait_for_log(
                    "established from .* to %s: " % re.escape(server_name)
                )
        self.assertNotIn("SSL_accept error", running.log())

    def test_E026_both_kinds_of_keys_for_one_name(self):
        running = self.start()
        for key, wanted in (("rsa", "wild-rsa"), ("ecdsa", "wild")):
            visit = tlspeers.Visit(
                "openssl", "TLSv1.3", False, None, "b.wild.test", False, key
            )
            report = tlspeers.deliver(visit, running.port, self.certificates)
            self.assertEqual(
                report.fingerprint, self.certificates.fingerprint(wanted)
            )

    def test_s_client_gets_the_full_chain(self):
        """As the how-to checks it, with each certificate of ours."""
        running = self.start(
            tls_cert_file=None,
            tls_key_file=None,
            tls_chain_files=[self.path("rsa"), self.path("ecdsa")],
        )
        openssl, environment = debian.program("openssl")
        for version in ("-tls1_2", "-tls1_3"):
            for name in ("a.wild.test", "b.wild.test", "mx.test"):
                with self.subTest(version, name=name):
                    result = subprocess.run(
                        [openssl, "s_client", "-starttls", "smtp", version]
                        + ["-connect", "127.0.0.1:%d" % running.port]
                        + ["-servername", name, "-verify_hostname", name]
                        + ["-CAfile", self.certificates.path("root.pem")]
                        + ["-showcerts", "-verify_return_error"],
                        input="quit\n",
                        env=environment,
                        capture_output=True,
                        text=True,
                        timeout=30,
                        check=False,
                    )
                    self.assertIn("Verify return code: 0 (ok)", result.stdout)
                    chain = result.stdout.partition("Certificate chain")[2]
                    self.assertEqual(
                        chain.partition("Server certificate")[0].count(
                            "-----BEGIN CERTIFICATE-----"
                        ),
                        2,
                    )

    def test_map_that_is_wrong(self):
        for text, words in (
            ("a.test /nowhere/file.pem\n", ["/nowhere/file.pem"]),
            ("# fine\n\na.test\n", [":3"]),
            (
                "a.test %s\n" % self.certificates.path("rsa.chain.pem"),
                ["rsa.chain.pem", "key"],
            ),
            (
                "a.test %s\na.test %s\n"
                % (self.path("exact"), self.path("wild")),
                [":2", "a.test"],
            ),
        ):
            with self.subTest(text):
                path = self.file(text)
                self.assert_refuses_to_start(
                    *(
                        word if word[0] != ":" else path + word
                        for word in words
                    ),
                    tls_server_sni_maps=path,
                )
        self.assert_refuses_to_start(
            "/nowhere/map", tls_server_sni_maps="/nowhere/map"
        )


class StapleTest(tlscase.TlsCase):
    def status(self, running, *more):
        """What s_client -status says of the response."""
        openssl, environment = debian.program("openssl")
        return subprocess.run(
            [openssl, "s_client", "-starttls", "smtp", "-status", "-tls1_3"]
            + ["-connect", "127.0.0.1:%d" % running.port]
            + ["-CAfile", self.certificates.path("root.pem")]
            + list(more),
            input="quit\n",
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        ).stdout

    def both_kinds(self, *staples):
        return self.start_proxy(
            tls_cert_file=None,
            tls_key_file=None,
            tls_chain_files=[
                self.certificates.path("rsa.combined.pem"),
                self.certificates.path("ecdsa.combined.pem"),
            ],
            tls_stapling_files=list(staples),
        )

    def test_each_certificate_has_its_response(self):
        running = self.both_kinds(
            self.certificates.staple("ecdsa"), self.certificates.staple("rsa")
        )
        for algorithm in ("RSA-PSS+SHA256", "ECDSA+SHA256"):
            with self.subTest(algorithm):
                said = self.status(running, "-sigalgs", algorithm)
                self.assertIn("OCSP Response Status: successful", said)
                self.assertIn("Cert Status: good", said)
                serial = re.search(r"Serial Number: (\w+)", said).group(1)
                with open(
                    self.certificates.path(
                        "rsa.pem" if "RSA" in algorithm[:3] else "ecdsa.pem"
                    )
                ) as file:
                    self.assertIn(serial.lower(), self.serial(file.name))

    def serial(self, path):
        openssl, environment = debian.program("openssl")
        return subprocess.run(
            [openssl, "x509", "-in", path, "-noout", "-serial"],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout.lower()

    def test_no_response_where_there_is_none(self):
        running = self.both_kinds(self.certificates.staple("rsa"))
        said = self.status(running, "-sigalgs", "ECDSA+SHA256")
        # OpenSSL 3.6 speaks of several.
        self.assertRegex(said, "OCSP responses?: no responses? sent")
        said = self.status(running, "-sigalgs", "RSA-PSS+SHA256")
        self.assertIn("Cert Status: good", said)

    def test_a_new_response_is_noticed(self):
        """certbot's and others' hooks write the file again and again."""
        staple = self.file("")
        shutil.copy(self.certificates.staple("rsa"), staple)
        running = self.both_kinds(staple)
        before = len(running.log())
        shutil.copy(self.certificates.staple("ecdsa"), staple + ".new")
        os.replace(staple + ".new", staple)
        self.wait_for_line(running, before, tlscase.RELOADED, 3)
        said = self.status(running, "-sigalgs", "ECDSA+SHA256")
        self.assertIn("Cert Status: good", said)

    def test_files_that_are_wrong(self):
        self.assert_refuses_to_start(
            "/nowhere/ocsp", tls_stapling_files="/nowhere/ocsp"
        )
        garbage = self.certificates.path("garbage.pem")
        self.assert_refuses_to_start(garbage, tls_stapling_files=garbage)

    def test_response_for_a_certificate_that_is_not_ours(self):
        self.certificates.issue("stranger-leaf")
        staple = self.certificates.staple("stranger-leaf")
        # A warning or an error; nobody must wonder where the staple is.
        try:
            running = self.start_proxy(tls_stapling_files=staple)
        except AssertionError as refusal:
            self.assertIn(staple, str(refusal))
        else:
            running.wait_for_log(r"warning: .*" + re.escape(staple))
