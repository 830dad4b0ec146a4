"""What the scanners that administrators use say: testssl.sh and sslscan."""

import json
import os
import subprocess
import tempfile
import threading
import xml.etree.ElementTree

import debian
import tlscase
import util

_HOST = "mx.test"
# It starts thousands of processes: a busy machine takes its time.
_TESTSSL_SECONDS = 700
# testssl.sh and what it calls; socat is for its own STARTTLS injection, which
# 3.2 tries.
_TESTSSL_PACKAGES = ("testssl.sh", "bsdextrautils", "procps", "socat")
# Findings about the throw-away certificate or this machine, not about us:
# testssl's own need of a GOST engine, and no revocation list in the
# certificate. A resumption that s_client did not wait for is in the tickets'
# own tests.
_NOT_OURS = {
    "engine_problem",
    "cert_revocation",
    "sessionresumption_ticket",
    "DNS_CAArecord",
    "scanTime",
}
_SOME = ("--protocols",)
_ALL = _SOME + ("--server-defaults", "--server-preference", "--vulnerable")
_BAD = ("HIGH", "CRITICAL", "WARN", "FATAL")


class ScannerTest(tlscase.TlsCase):
    seconds = _TESTSSL_SECONDS + 20  # what run gives each of these tests

    def start(self):
        """Everything at its default, and a certificate as it should be."""
        for key in ("rsa", "ecdsa"):
            self.certificates.issue("scan-" + key, key=key, days=(-1, 89))
        return self.start_proxy(
            tls_cert_file=None,
            tls_key_file=None,
            tls_chain_files=[
                self.certificates.path("scan-%s.combined.pem" % key)
                for key in ("ecdsa", "rsa")
            ],
        )

    # sslscan.

    def run_sslscan(self, port, *options):
        try:
            path, environment = debian.program("sslscan")
        except util.Skip as reason:
            self.skipTest(str(reason))
        result = subprocess.run(
            [path, "--xml=-", "--sni-name=" + _HOST]
            + list(options)
            + ["127.0.0.1:%d" % port],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=True,
        )
        return xml.etree.ElementTree.fromstring(result.stdout).find("ssltest")

    def check_sslscan(self, found):
        enabled = {
            each.get("type") + each.get("version")
            for each in found.findall("protocol")
            if each.get("enabled") == "1"
        }
        self.assertEqual(enabled, {"tls1.2", "tls1.3"})
        ciphers = found.findall("cipher")
        self.assertGreater(len(ciphers), 5)
        for cipher in ciphers:
            # It knows no better word for the suites of TLS 1.3; of TLS 1.2
            # it means CBC, which comes behind AEAD.
            self.assertRegex(
                cipher.get("strength"), "^(strong|acceptable)$", cipher.attrib
            )
            self.assertGreaterEqual(int(cipher.get("bits")), 128)
            self.assertRegex(cipher.get("cipher"), r"^(TLS_|ECDHE-)")
        for cipher in ciphers:
            if cipher.get("status") == "preferred":
                self.assertRegex(cipher.get("cipher"), "GCM|CHACHA20")
        self.assertEqual(found.find("renegotiation").get("supported"), "0")
        for each in found.findall("heartbleed"):
            self.assertEqual(each.get("vulnerable"), "0")
        groups = {each.get("name") for each in found.findall("group")}
        self.assertTrue(
            groups
            <= {
                "x25519",
                "secp256r1 (NIST P-256)",
                "secp384r1 (NIST P-384)",
            },
            groups,
        )

    def test_sslscan_starttls(self):
        running = self.start()
        self.check_sslscan(self.run_sslscan(running.port, "--starttls-smtp"))

    def test_sslscan_implicit(self):
        running = self.start()
        self.check_sslscan(self.run_sslscan(running.implicit_port))

    # testssl.sh.

    def run_testssl(self, tests, port, *options):
        """Its findings: [{id, severity, finding}]."""
        tree = debian.unpack(*_TESTSSL_PACKAGES)
        with tempfile.TemporaryDirectory(prefix="tlspost-e2e-") as folder:
            # It insists on a resolver, and has no name to ask it for.
            resolver = os.path.join(folder, "host")
            with open(resolver, "w", encoding="ascii") as file:
                file.write("#!/bin/sh\nexit 1\n")
            os.chmod(resolver, 0o755)
            environment = dict(tree.environment(), HOME=folder, TERM="dumb")
            environment["PATH"] = ":".join(
                [tree.path("bin"), environment["PATH"], folder]
            )
            environment["TESTSSL_INSTALL_DIR"] = tree.path("etc", "testssl")
            report = os.path.join(folder, "report.json")
            result = subprocess.run(
                [tree.path("usr", "bin", "testssl")]
                + ["--nodns", "none", "--ip", "127.0.0.1"]
                + ["--warnings", "off", "--color", "0"]
                + ["--connect-timeout", "5", "--openssl-timeout", "5"]
                + ["--add-ca", self.certificates.path("root.pem")]
                + ["--jsonfile", report]
                + list(tests)
                + list(options)
                + ["%s:%d" % (_HOST, port)],
                env=environment,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_TESTSSL_SECONDS,
                check=False,
            )
            try:
                return json.loads(util.read_text(report))
            except ValueError:
                raise AssertionError(
                    "no report of testssl.sh:\n" + util.tail(result.stdout)
                ) from None

    def check_testssl(self, tests, findings):
        by_id = {each["id"]: each for each in findings}
        for name in ("SSLv2", "SSLv3", "TLS1", "TLS1_1"):
            self.assertIn("not offered", by_id[name]["finding"])
        for name in ("TLS1_2", "TLS1_3"):
            self.assertIn("offered", by_id[name]["finding"])
            self.assertEqual(by_id[name]["severity"], "OK")
        if "--vulnerable" in tests:
            self.assertIn("BEAST", by_id, "the vulnerabilities were not tested")
        bad = [
            (each["severity"], each["id"], each["finding"])
            for each in findings
            if each["severity"] in _BAD
            and each["id"].partition(" ")[0] not in _NOT_OURS
        ]
        self.assertEqual(bad, [])

    def test_testssl(self):
        """Everything before STARTTLS, and what may differ without it.

        Both listeners use one SSL_CTX, and a whole scan is two minutes of
        processor for testssl.sh alone.
        """
        if not os.path.exists("/bin/bash"):
            self.skipTest("testssl.sh needs bash")
        try:
            debian.unpack(*_TESTSSL_PACKAGES)
        except util.Skip as reason:
            self.skipTest(str(reason))
        running = self.start()
        outcomes = {}

        def scan(name, tests, port, *options):
            try:
                outcomes[name] = (tests, self.run_testssl(tests, port, *options))
            except (AssertionError, subprocess.TimeoutExpired) as error:
                outcomes[name] = error

        threads = [
            threading.Thread(target=scan, args=arguments)
            for arguments in (
                ("STARTTLS", _ALL, running.port, "--starttls", "smtp"),
                ("implicit TLS", _SOME, running.implicit_port),
            )
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for name, outcome in outcomes.items():
            with self.subTest(name):
                if isinstance(outcome, Exception):
                    raise outcome
                self.check_testssl(*outcome)
        # It has been through hundreds of bad handshakes: still well.
        self.assert_delivers(self.tls_client(running))
