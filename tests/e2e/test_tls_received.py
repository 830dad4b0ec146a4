"""The Received header: on or off, Gmail's layout, RFC 8314's clause."""

import re

import case
import tlscase

_ID = r"id [\w-]+"


class ReceivedTest(tlscase.TlsCase):
    def header(self, running, version="TLSv1.3", certificate=None):
        """(header, cipher) of a message over TLS; plain for version None."""
        self.postfix.clear()
        cipher = None
        if version is None:
            client = self.plain_session(running)
        else:
            client = self.tls_client(
                running, self.certificates.trust(version, certificate)
            )
            cipher = client.tls.cipher()[0]
        client.deliver("a@sender.test", ["b@recipient.test"], tlscase.BODY)
        client.quit()
        message = self.only_message()
        self.assert_content(message, tlscase.BODY)
        return message.received(1), cipher

    def test_off(self):
        """Only the TLS clauses go: it is still ESMTPS, and still a trace."""
        running = self.start_proxy(tls_received_header="no")
        for version, protocol in (("TLSv1.3", "ESMTPS"), (None, "ESMTP")):
            field, _ = self.header(running, version)
            self.assert_received(
                field,
                "client.test",
                "127.0.0.1",
                protocol,
                "b@recipient.test",
            )

    def test_gmail_layout(self):
        running = self.start_proxy(received_format="gmail")
        for version, name in (("TLSv1.2", "TLS1_2"), ("TLSv1.3", "TLS1_3")):
            field, cipher = self.header(running, version)
            bits = 128 if "128" in cipher else 256
            self.assertRegex(
                re.sub(r"\n[ \t]+", " ", field),
                r"^Received: from client\.test \(.*\[127\.0\.0\.1\]\) "
                r"by mx\.test \(tlspost\) with ESMTPS %s "
                r"for <b@recipient\.test> "
                r"\(version=%s cipher=%s bits=%d/%d\); %s\n$"
                % (_ID, name, re.escape(cipher), bits, bits, case.DATE),
            )

    def test_gmail_layout_in_plaintext(self):
        running = self.start_proxy(received_format="gmail")
        field, _ = self.header(running, None)
        self.assertRegex(
            re.sub(r"\n[ \t]+", " ", field),
            r"by mx\.test \(tlspost\) with ESMTP %s for "
            r"<b@recipient\.test>; %s\n$" % (_ID, case.DATE),
        )

    def test_gmail_layout_with_a_hostile_client_certificate(self):
        name = self.certificates.issue(
            "gmail-client", use="client", subject="/CN=evil)\n\tby (x"
        )
        running = self.start_proxy(
            received_format="gmail",
            tls_ask_ccert="yes",
            tls_CAfile=self.certificates.path("root.pem"),
        )
        field, _ = self.header(running, certificate=name)
        for line in field.rstrip("\n").split("\n")[1:]:
            self.assertRegex(line, r"^[ \t]")
        self.assertEqual(len(re.findall(r"\bby \S+ \(", field)), 1, field)
        self.assertEqual(field.count("("), field.count(")"), field)

    def test_tls_clause(self):
        """RFC 8314, 4.3: `tls` and the name that IANA gave the suite.

        RFC 5321, 4.4 puts Additional-Registered-Clauses behind For.
        """
        running = self.start_proxy(received_tls_clause="yes")
        for version, suite in (
            ("TLSv1.3", r"TLS_AES_(128_GCM_SHA256|256_GCM_SHA384)"),
            (
                "TLSv1.2",
                r"TLS_ECDHE_RSA_WITH_AES_(128_GCM_SHA256|256_GCM_SHA384)",
            ),
        ):
            with self.subTest(version):
                field, _ = self.header(running, version)
                self.assertRegex(
                    re.sub(r"\n[ \t]+", " ", field),
                    r"with ESMTPS %s for <b@recipient\.test> tls %s; "
                    % (_ID, suite),
                )
        field, _ = self.header(running, None)
        self.assertNotIn(" tls ", field)

    def test_tls_clause_is_off_by_default(self):
        field, _ = self.header(self.start_proxy())
        self.assertNotIn(" tls ", field)

    def test_with_several_recipients(self):
        running = self.start_proxy(received_tls_clause="yes")
        client = self.tls_client(running)
        client.deliver(
            "a@sender.test",
            ["b@recipient.test", "c@recipient.test"],
            tlscase.BODY,
        )
        field = self.only_message().received(1)
        self.assertNotIn(" for ", field)
        self.assertRegex(
            re.sub(r"\n[ \t]+", " ", field),
            r"with ESMTPS %s tls TLS_\w+; %s\n$" % (_ID, case.DATE),
        )

    def test_mail_parsers_still_read_it(self):
        """RFC 5322, 3.6.7: all of ours is comments ahead of the `;`."""
        for settings in (
            {},
            {"received_format": "gmail"},
            {"received_tls_clause": "yes"},
            {"received_format": "gmail", "received_tls_clause": "yes"},
        ):
            with self.subTest(**settings):
                field, _ = self.header(self.start_proxy(**settings))
                value = re.sub(r"\n[ \t]+", " ", field).rstrip("\n")
                self.assertEqual(value.count(";"), 1)
                while re.search(r"\([^()]*\)", value):
                    value = re.sub(r"\([^()]*\)", "", value)
                self.assertRegex(
                    " ".join(value.split()).replace(" ;", ";"),
                    r"^Received: from client\.test by mx\.test with ESMTPS %s"
                    r" for <b@recipient\.test>( tls \w+)?; " % _ID,
                )
