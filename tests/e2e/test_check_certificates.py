"""`tlspost check` on certificates, and that OpenSSL's own command agrees."""

import os
import re
import shutil
import subprocess
import tempfile

import checkcase
import debian


class CheckCertificatesTest(checkcase.CheckCase):
    def openssl_verify(self, path):
        """What the how-to's command says: "", or its first error."""
        program, environment = debian.program("openssl")
        result = subprocess.run(
            [
                program,
                "verify",
                "-purpose",
                "sslserver",
                "-untrusted",
                path,
                path,
            ],
            env={**(environment or os.environ), **self.variables()},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        if result.returncode == 0:
            self.assertIn("%s: OK" % path, result.stdout)
            return ""
        output = result.stdout + result.stderr
        error = re.search(
            r"^error (\d+) at (\d+) depth lookup: (.*)$", output, re.MULTILINE
        )
        self.assertIsNotNone(error, output)
        # OpenSSL 3.2 and newer print names without the blanks.
        subject = re.sub(
            r" ?= ?", " = ", output[: error.start()].splitlines()[-1]
        )
        return "%s (OpenSSL's error %s at depth %s, %s)" % (
            error.group(3),
            error.group(1),
            error.group(2),
            subject.strip(),
        )

    def chain(self, name, *parts):
        """The path of a file with these certificates."""
        path = self.certificates.path(name)
        with open(path, "wb") as file:
            for part in parts:
                with open(self.certificates.path(part), "rb") as source:
                    file.write(source.read())
        os.chmod(path, 0o600)
        return path

    def chains(self):
        """{title: (file, key's name)}: good ones and all kinds of bad ones."""
        issue = self.certificates.issue
        issue("check-expired", days=(-9, -2))
        issue("check-future", days=(2, 9))
        issue("check-client", use="client")
        issue("check-authority", use="authority")
        issue("check-own", issuer=None)
        issue("check-own-root", use="authority", issuer=None)
        issue("check-by-own-root", issuer="check-own-root")
        issue("check-by-leaf", issuer="ecdsa")
        issue("check-old-middle", use="authority", issuer="root", days=(-9, -2))
        issue("check-by-old-middle", issuer="check-old-middle")
        issue("check-second", use="authority")
        issue("check-by-second", issuer="check-second")
        path = self.certificates.path
        return {
            "good, RSA": (path("rsa.chain.pem"), "rsa"),
            "good, ECDSA": (path("ecdsa.chain.pem"), "ecdsa"),
            "with its root": (
                self.chain(
                    "c1.pem", "rsa.pem", "intermediate.pem", "root.pem"
                ),
                "rsa",
            ),
            "missing intermediate": (path("rsa.pem"), "rsa"),
            "wrong order": (
                self.chain(
                    "c2.pem",
                    "check-by-second.pem",
                    "intermediate.pem",
                    "check-second.pem",
                ),
                "check-by-second",
            ),
            "something else in it": (
                self.chain(
                    "c3.pem", "rsa.pem", "intermediate.pem", "check-own.pem"
                ),
                "rsa",
            ),
            "expired": (path("check-expired.chain.pem"), "check-expired"),
            "not valid yet": (path("check-future.chain.pem"), "check-future"),
            "for clients only": (
                path("check-client.chain.pem"),
                "check-client",
            ),
            "CA:TRUE": (path("check-authority.chain.pem"), "check-authority"),
            "self-signed": (path("check-own.pem"), "check-own"),
            "self-signed root in it": (
                path("check-by-own-root.chain.pem"),
                "check-by-own-root",
            ),
            "unknown root": (
                path("check-by-own-root.pem"),
                "check-by-own-root",
            ),
            "issued by a server": (
                self.chain(
                    "c4.pem", "check-by-leaf.pem", "ecdsa.pem",
                    "intermediate.pem",
                ),
                "check-by-leaf",
            ),
            "expired intermediate": (
                path("check-by-old-middle.chain.pem"),
                "check-by-old-middle",
            ),
        }

    def test_verdict_is_that_of_openssl_verify(self):
        bad = 0
        for title, (path, key) in self.chains().items():
            with self.subTest(title):
                wanted = self.openssl_verify(path)
                bad += bool(wanted)
                findings = self.check(
                    tls_cert_file=path,
                    tls_key_file=self.certificates.path(key + ".key"),
                )
                if not wanted:
                    self.assertIn(("OK", path, "OK"), findings)
                    self.assert_silent(findings, "FAIL", path)
                    continue
                self.assertNotIn(("OK", path, "OK"), findings)
                verdict = "WARN" if "self-signed" in title else "FAIL"
                text = self.assert_found(findings, verdict, path, wanted)
                self.assertRegex(text, r"\); \w+")  # and the remedy
        self.assertEqual(bad, 10)

    def test_order_and_names(self):
        path, _ = self.chains()["wrong order"]
        self.assert_found(
            self.check(tls_cert_file=path),
            "WARN",
            path,
            "certificate 2",
            "directly behind",
        )
        path, _ = self.chains()["something else in it"]
        self.assert_found(
            self.check(tls_cert_file=path), "WARN", path, "take it out"
        )
        path = self.certificates.path("rsa.chain.pem")
        self.assert_silent(self.check(), "WARN", path)
        self.assert_found(
            self.check(hostname="other.test"),
            "WARN",
            path,
            "mx.test",
            "other.test",
        )

    def test_days_left(self):
        path = self.certificates.path("rsa.chain.pem")
        self.assert_found(
            self.check(), "OK", path, "RSA, made out to mx.test, 1 day left"
        )
        self.certificates.issue("check-soon", days=(-80, 2))
        soon = self.certificates.path("check-soon.chain.pem")
        self.assert_found(
            self.check(
                tls_cert_file=soon,
                tls_key_file=self.certificates.path("check-soon.key"),
            ),
            "WARN",
            soon,
            " left; renew it",
        )

    def test_keys(self):
        path = self.certificates.path
        self.assert_found(
            self.check(), "OK", path("rsa.key"), "belongs", "no passphrase"
        )
        for key, words in (
            ("other.key", ("does not belong",)),
            ("encrypted.key", ("passphrase", "openssl pkey")),
            ("garbage.pem", ("is not PEM",)),
            ("nowhere.key", ("does not exist",)),
        ):
            with self.subTest(key):
                findings = self.check(tls_key_file=path(key))
                self.assert_found(findings, "FAIL", "tls_key_file", *words)
                # And the chain is judged all the same.
                self.assertIn(("OK", path("rsa.chain.pem"), "OK"), findings)

    def test_key_through_links(self):
        """As certbot has it: live/ holds links into archive/."""
        top = tempfile.mkdtemp(prefix="tlspost-e2e-")
        self.addCleanup(shutil.rmtree, top)
        archive, live = os.path.join(top, "archive"), os.path.join(top, "live")
        os.mkdir(archive, 0o700)
        os.mkdir(live, 0o700)
        target = os.path.join(archive, "privkey1.pem")
        link = os.path.join(live, "privkey.pem")
        shutil.copy(self.certificates.path("rsa.key"), target)
        os.symlink("../archive/privkey1.pem", link)
        os.chmod(target, 0o600)
        self.assert_silent(
            self.check(tls_key_file=link), "WARN", "tls_key_file"
        )
        os.chmod(target, 0o644)
        self.assert_found(
            self.check(tls_key_file=link),
            "WARN",
            "tls_key_file",
            "chmod 600 " + target,
        )
        self.assert_found(
            self.check(tls_key_file=link, tls_strict_key_permissions="yes"),
            "FAIL",
            "tls_key_file",
            "chmod 600 " + target,
        )
        os.chmod(target, 0o600)
        os.chmod(archive, 0o777)
        self.assert_found(
            self.check(tls_key_file=link),
            "WARN",
            "tls_key_file",
            "chmod go-w " + archive,
        )

    def test_all_chain_files_and_the_sni_map(self):
        issue, path = self.certificates.issue, self.certificates.path
        issue("check-rsa", key="rsa")
        issue("check-ecdsa")
        issue("check-named", names="DNS:named.test", days=(-9, -2))
        sni = path("check-sni")
        with open(sni, "w", encoding="ascii") as file:
            file.write("named.test %s\n" % path("check-named.combined.pem"))
            file.write("wrong.test %s\n" % path("check-named.combined.pem"))
        findings = self.check(
            tls_cert_file=None,
            tls_key_file=None,
            tls_chain_files=[
                path("check-rsa.combined.pem"),
                path("check-ecdsa.combined.pem"),
            ],
            tls_server_sni_maps=sni,
        )
        for name in ("check-rsa", "check-ecdsa"):
            self.assertIn(
                ("OK", path(name + ".combined.pem"), "OK"), findings
            )
        self.assert_found(
            findings,
            "FAIL",
            path("check-named.combined.pem"),
            "certificate has expired",
        )
        self.assert_found(findings, "WARN", "TLS", "served as wrong.test")

    def test_authorities(self):
        path = self.certificates.path
        folder = path("check-authorities")
        os.makedirs(folder, exist_ok=True)
        shutil.copy(path("root.pem"), folder)
        bundle = self.chain("check-bundle.pem", "root.pem", "intermediate.pem")
        findings = self.check(
            tls_CAfile=bundle, tls_CApath=folder, tls_ask_ccert="yes"
        )
        self.assert_found(
            findings, "OK", "tls_CAfile", bundle + " holds 2 authorities"
        )
        self.assert_found(
            findings, "WARN", "tls_CApath", "openssl rehash " + folder
        )
        self.certificates.rehash(folder)
        self.assert_found(
            self.check(tls_CApath=folder),
            "OK",
            "tls_CApath",
            folder + " has 1 hash links",
        )
        self.assert_found(
            self.check(tls_CAfile="/nowhere.pem"),
            "FAIL",
            "tls_CAfile",
            "/nowhere.pem does not exist",
        )
