"""Handshakes of four libraries in every combination that says something new.

What tlspost writes into the log and the Received header is compared with what
the client's own library reports.
"""

import itertools
import re

import case
import tlspeers
import util

# One for each field of Case, by its name.
_CHOICES = {
    "peer": tuple(tlspeers.PEERS),
    "version": ("TLSv1.2", "TLSv1.3"),
    "resumed": (False, True),
    "certificate": (None, "client"),
    "sni": (None, "named.test", "stranger.test"),
    "implicit": (False, True),
    "key": ("rsa", "ecdsa"),
}


def _triples(row):
    return set(itertools.combinations(zip(_CHOICES, row), 3))


def table():
    """The fewest rows in which any three choices meet (greedily taken)."""
    rows = list(itertools.product(*_CHOICES.values()))
    missing = set().union(*map(_triples, rows))
    chosen = []
    while missing:
        best = max(rows, key=lambda row: len(missing & _triples(row)))
        missing -= _triples(best)
        chosen.append(dict(zip(_CHOICES, best)))
    return chosen


class MatrixTest(case.PostfixCase):
    def setUp(self):
        super().setUp()
        self.certificates.issue("client", use="client")
        for key in ("rsa", "ecdsa"):
            self.certificates.issue(
                "named-" + key, key=key, names="DNS:named.test"
            )

    def start(self, key):
        """A proxy whose certificates are all of that kind."""
        names = self.certificates.path("sni-" + key)
        with open(names, "w", encoding="ascii") as file:
            file.write(
                "named.test %s\n"
                % self.certificates.path("named-%s.combined.pem" % key)
            )
        self.implicit_port = util.free_port()
        return self.start_proxy(
            tls_cert_file=self.certificates.path(key + ".chain.pem"),
            tls_key_file=self.certificates.path(key + ".key"),
            tls_server_sni_maps=names,
            listen_tls="127.0.0.1:%d" % self.implicit_port,
            tls_ask_ccert="yes",
            tls_CAfile=self.certificates.path("root.pem"),
        )

    def visit(self, running, key, visit):
        before = len(running.log())
        self.postfix.clear()
        report = tlspeers.deliver(
            visit,
            self.implicit_port if visit.implicit else running.port,
            self.certificates,
        )
        self.assertEqual(report.protocol, visit.version)
        self.assertEqual(report.reused, visit.resumed)
        if report.fingerprint is not None:
            self.assertEqual(
                report.fingerprint,
                self.certificates.fingerprint(
                    "named-" + key if visit.sni == "named.test" else key
                ),
            )
        self.check_header(visit, report)
        self.check_log(running, before, visit, report)

    def check_header(self, visit, report):
        message = self.only_message()
        self.assert_content(message, tlspeers.BODY)
        self.assert_received(
            message.received(1),
            visit.helo,
            "127.0.0.1",
            "ESMTPS",
            tlspeers.RECIPIENT,
            (report.protocol, report.cipher),
            certificate=(
                'Client CN "client.test", Issuer "intermediate.test"'
                " (verified OK)"
                if visit.certificate
                else "Client did not present a certificate"
            ),
            reused=visit.resumed,
        )

    def check_log(self, running, before, visit, report):
        line = r"%s TLS connection %s from unknown\[127\.0\.0\.1\]%s: %s" % (
            "Trusted" if visit.certificate else "Anonymous",
            "reused" if visit.resumed else "established",
            " to " + re.escape(visit.sni) if visit.sni else "",
            r"%s with cipher %s \(\d+/\d+ bits\)"
            % (re.escape(report.protocol), re.escape(report.cipher)),
        )
        if visit.version == "TLSv1.3":
            line += r" key-exchange \S+(?: \(\S+\))?"
            if not visit.resumed:
                line += r" server-signature \S+ \([\w .-]+\) server-digest \S+"
                if visit.certificate:
                    line += (
                        r" client-signature \S+ \([\w .-]+\)"
                        r" client-digest \S+"
                    )
        log = util.wait_until(
            lambda: re.search(line + "$", running.log()[before:], re.M)
            and running.log()[before:],
            5,
            lambda: "/%s/ in\n%s" % (line, running.log()[before:]),
        )
        self.assertEqual(
            len(re.findall("TLS connection (?:established|reused)", log)),
            2 if visit.resumed else 1,
            log,
        )

    def play(self, peer):
        for key in ("rsa", "ecdsa"):
            rows = [
                row
                for row in table()
                if row["peer"] == peer and row["key"] == key
            ]
            running = self.start(key)
            for row in rows:
                # The proxy's certificate decides here, not the client.
                visit = tlspeers.Visit(**dict(row, key=None))
                with self.subTest(**row):
                    self.visit(running, key, visit)

    def test_openssl(self):
        self.play("openssl")

    def test_gnutls(self):
        self.play("gnutls")

    def test_node(self):
        self.play("node")

    def test_python(self):
        self.play("python")


class KeyKindTest(case.PostfixCase):
    """Edge case 26: an ECDSA and an RSA certificate side by side."""

    def test_E026_the_client_s_abilities_choose_the_certificate(self):
        running = self.start_proxy(
            tls_cert_file=None,
            tls_key_file=None,
            tls_chain_files=[
                self.certificates.path("rsa.combined.pem"),
                self.certificates.path("ecdsa.combined.pem"),
            ],
        )
        for peer, version, key in itertools.product(
            ("openssl", "gnutls", "node", "python"),
            ("TLSv1.2", "TLSv1.3"),
            ("rsa", "ecdsa", None),
        ):
            if (peer, version) == ("python", "TLSv1.3") and key:
                continue  # Python 3.11 cannot say which signatures it takes.
            with self.subTest(peer=peer, version=version, key=key):
                visit = tlspeers.Visit(
                    peer, version, False, None, "mx.test", False, key
                )
                report = tlspeers.deliver(
                    visit, running.port, self.certificates
                )
                self.assertEqual(
                    report.fingerprint,
                    self.certificates.fingerprint(key or "ecdsa"),
                )
