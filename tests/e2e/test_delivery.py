"""Real clients deliver through tlspost: content, Received header, log."""

import os
import re
import shutil
import smtplib
import ssl
import subprocess
import tempfile

import case
import debian
import dialogue
import smtpclient
import util

# Everything that a careless proxy changes.
CONTENT = (
    b"Subject: =?utf-8?q?=C3=A9?= and more\r\n"
    b"From: <sender@sender.test>\r\n"
    b"Received: from earlier.test by relay.test;"
    b" Mon, 2 Jan 2006 15:04:05 +0000\r\n"
    b"X-Folded: first\r\n\tsecond\r\n"
    b"\r\n"
    b".one dot\r\n..two dots\r\n.\r\n..\r\n"
    b"trailing blanks \t \r\n\r\n\r\n"
    + "8 bit: \u00e9\u20ac\r\n".encode()
    + b"x" * 990
    + b"\r\n"
    b"From the last line\r\n"
)
SENDER, RECIPIENT = "sender@sender.test", "recipient@recipient.test"

_ESTABLISHED = (
    r"Anonymous TLS connection established from unknown\[127\.0\.0\.1\]"
    r"(?: to [\w.-]+)?: %s with cipher %s \(\d+/\d+ bits\)"
)
_COMMANDS = (
    r"disconnect from unknown\[127\.0\.0\.1\] "
    r"ehlo=2 starttls=1 mail=1 rcpt=1 data=1 quit=1 commands=7$"
)


class DeliveryTest(case.PostfixCase):
    def tool(self, name):
        """A program's path and environment."""
        try:
            return debian.program(name)
        except util.Skip as reason:
            self.skipTest("%s is not installed, and: %s" % (name, reason))
            return None

    def swaks(self):
        """As tool(), for swaks, which needs a Perl module for TLS."""
        for fetch in (
            lambda: (shutil.which("swaks"), None),
            lambda: self._unpacked_swaks("swaks", "libnet-ssleay-perl"),
        ):
            path, environment = fetch()
            if path is None:
                continue
            support = subprocess.run(
                [path, "--support"],
                capture_output=True,
                text=True,
                env=environment,
                timeout=30,
                check=False,
            ).stdout
            if "TLS supported" in support:
                return path, environment
        self.skipTest(
            "swaks has no TLS here: apt-get install perl swaks "
            "libnet-ssleay-perl"
        )
        return None

    @staticmethod
    def _unpacked_swaks(*packages):
        try:
            tree = debian.unpack(*packages)
        except util.Skip:
            return None, None
        return tree.path("usr/bin/swaks"), tree.environment()

    def file(self, content):
        handle, path = tempfile.mkstemp(prefix="tlspost-e2e-", suffix=".eml")
        self.addCleanup(os.unlink, path)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        return path

    def check(self, running, helo, content=CONTENT, version=None, cipher=None):
        """The delivered message; its header agrees with the log, and both with
        what the client negotiated as far as that is known."""
        message = self.only_message()
        self.assertEqual(message.sender, SENDER)
        self.assertEqual(message.recipients, [RECIPIENT])
        self.assertEqual(message.client, "unknown[127.0.0.1]")
        self.assertEqual(message.helo, helo)
        self.assertEqual(message.protocol, "ESMTP")
        self.assert_content(message, content)
        line = running.wait_for_log(
            _ESTABLISHED
            % (
                r"(\S+)" if version is None else "(%s)" % re.escape(version),
                r"(\S+)" if cipher is None else "(%s)" % re.escape(cipher),
            )
        )
        self.assert_received(
            message.received(1),
            helo,
            "127.0.0.1",
            "ESMTPS",
            RECIPIENT,
            tls=line.groups(),
        )
        running.wait_for_log(_COMMANDS)
        return message

    # Python's smtplib.

    def smtplib_delivers(self, version, name="rsa"):
        running = self.start_learned_proxy(
            tls_cert_file=self.certificates.path(name + ".chain.pem"),
            tls_key_file=self.certificates.path(name + ".key"),
        )
        context = self.certificates.trust(version)
        # The certificate is for mx.test, and smtplib would check the host.
        context.check_hostname = False
        with smtplib.SMTP(
            "127.0.0.1", running.port, "python.test", timeout=30
        ) as client:
            client.starttls(context=context)
            client.ehlo()
            self.assertEqual(client.sock.version(), version)
            cipher = client.sock.cipher()[0]
            client.sendmail(SENDER, [RECIPIENT], CONTENT, ["BODY=8BITMIME"])
        self.check(running, "python.test", CONTENT, version, cipher)
        return running

    def test_smtplib_tls13(self):
        running = self.smtplib_delivers("TLSv1.3")
        log = running.wait_for_log(
            _ESTABLISHED % (r"TLSv1\.3", r"\S+")
            + r" key-exchange \S+.* server-signature RSA-PSS "
            r"\(2048 bits\) server-digest SHA256$"
        )
        self.assertTrue(log)

    def test_smtplib_tls12(self):
        running = self.smtplib_delivers("TLSv1.2")
        running.wait_for_log(_ESTABLISHED % (r"TLSv1\.2", r"\S+") + "$")

    def test_smtplib_ecdsa_certificate(self):
        running = self.smtplib_delivers("TLSv1.3", "ecdsa")
        running.wait_for_log(
            r"server-signature ECDSA \([\w-]+\) server-digest SHA256$"
        )

    def test_smtplib_without_tls(self):
        running = self.start_learned_proxy()
        with smtplib.SMTP(
            "127.0.0.1", running.port, "python.test", timeout=30
        ) as client:
            client.sendmail(SENDER, [RECIPIENT], CONTENT, ["BODY=8BITMIME"])
        message = self.only_message()
        self.assert_content(message, CONTENT)
        self.assert_received(
            message.received(1), "python.test", "127.0.0.1", "ESMTP", RECIPIENT
        )

    # openssl s_client.

    def s_client_delivers(self, version, option):
        running = self.start_learned_proxy()
        openssl, environment = self.tool("openssl")
        talk = dialogue.Dialogue(
            [
                openssl,
                "s_client",
                "-connect",
                "127.0.0.1:%d" % running.port,
                "-starttls",
                "smtp",
                "-name",
                "client.test",
                option,
                "-quiet",
                "-CAfile",
                self.certificates.path("root.pem"),
                "-verify_return_error",
                "-verify_hostname",
                "mx.test",
            ],
            environment,
        )
        try:
            # -quiet: nothing is taken for a command of s_client's own (R!).
            talk.say(b"EHLO typed.test\r\n")
            talk.expect(rb"^250 [^\r]*\r\n")
            for line, answer in (
                ("MAIL FROM:<%s> BODY=8BITMIME" % SENDER, b"250"),
                ("RCPT TO:<%s>" % RECIPIENT, b"250"),
                ("DATA", b"354"),
            ):
                talk.say(line.encode() + b"\r\n")
                talk.expect(rb"^" + answer + rb" [^\r]*\r\n")
            talk.say(smtpclient.dot_stuff(CONTENT) + b".\r\n")
            talk.expect(rb"^250 [^\r]*\r\n")
            talk.say(b"QUIT\r\n")
            talk.expect(rb"^221 ")
        finally:
            errors = talk.end()
        self.assertIn("verify return:1", errors)
        self.check(running, "typed.test", CONTENT, version)

    def test_s_client_tls13(self):
        self.s_client_delivers("TLSv1.3", "-tls1_3")

    def test_s_client_tls12(self):
        self.s_client_delivers("TLSv1.2", "-tls1_2")

    def test_s_client_is_sent_the_whole_chain(self):
        running = self.start_learned_proxy()
        openssl, environment = self.tool("openssl")
        shown = subprocess.run(
            [
                openssl,
                "s_client",
                "-connect",
                "127.0.0.1:%d" % running.port,
                "-starttls",
                "smtp",
                "-showcerts",
                "-CAfile",
                self.certificates.path("root.pem"),
            ],
            env=environment,
            input=b"QUIT\r\n",
            capture_output=True,
            timeout=30,
            check=False,
        ).stdout.decode(errors="replace")
        self.assertEqual(shown.count("-----BEGIN CERTIFICATE-----"), 2, shown)
        self.assertIn("Verify return code: 0 (ok)", shown)

    # curl and swaks.

    def test_curl(self):
        running = self.start_learned_proxy()
        curl, environment = self.tool("curl")
        result = subprocess.run(
            [
                curl,
                "--silent",
                "--show-error",
                "--max-time",
                "30",
                "--ssl-reqd",
                "--cacert",
                self.certificates.path("root.pem"),
                "--resolve",
                "mx.test:%d:127.0.0.1" % running.port,
                "--mail-from",
                SENDER,
                "--mail-rcpt",
                RECIPIENT,
                "--upload-file",
                self.file(CONTENT),
                "smtp://mx.test:%d/curl.test" % running.port,
            ],
            env=environment,
            capture_output=True,
            timeout=60,
            check=False,
        )
        self.assertEqual(
            result.returncode, 0, result.stderr.decode(errors="replace")
        )
        self.check(running, "curl.test")

    def test_swaks(self):
        swaks, environment = self.swaks()
        # swaks puts the body between a template's header and an end of its
        # own, so it is given the whole data, to be sent as it is.
        content = CONTENT.replace(
            "8 bit: \u00e9\u20ac\r\n".encode(), b"7 bit\r\n"
        )
        running = self.start_learned_proxy()
        result = subprocess.run(
            [
                swaks,
                "--server",
                "127.0.0.1",
                "--port",
                str(running.port),
                "--tls",
                "--ehlo",
                "swaks.test",
                "--from",
                SENDER,
                "--to",
                RECIPIENT,
                "--timeout",
                "30",
                "--no-data-fixup",
                "--data",
                "@" + self.file(smtpclient.dot_stuff(content) + b"."),
            ],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.check(running, "swaks.test", content)

    # Details of TLS.

    def test_both_pem_parts_in_one_file(self):
        running = self.start_learned_proxy(
            tls_cert_file=self.certificates.path("rsa.combined.pem"),
            tls_key_file=None,
        )
        client = self.tls_session(running)
        self.assert_delivers(client)
        client.quit()

    def test_sessions_are_resumed(self):
        for version in ("TLSv1.2", "TLSv1.3"):
            with self.subTest(version):
                running = self.start_learned_proxy()
                context = self.certificates.trust(version)
                first = self.connect(running)
                first.ehlo("first.test")
                first.starttls(context)
                # TLS 1.3 sends its tickets after the handshake.
                first.ehlo("first.test")
                session = first.tls.session
                first.quit()
                second = self.connect(running)
                second.ehlo("second.test")
                second.starttls(context, session=session)
                second.ehlo("second.test")
                self.assertTrue(second.tls.session_reused)
                self.assert_delivers(second)
                second.quit()
                running.wait_for_log(
                    r"Anonymous TLS connection reused"
                    r" from unknown\[127\.0\.0\.1\]"
                    r"(?: to \S+)?: " + re.escape(version)
                )
                self.postfix.clear()

    def test_chosen_ciphers_are_reported(self):
        for cipher in (
            "ECDHE-RSA-AES128-GCM-SHA256",
            "ECDHE-RSA-CHACHA20-POLY1305",
        ):
            with self.subTest(cipher):
                running = self.start_learned_proxy()
                context = self.certificates.trust("TLSv1.2")
                context.set_ciphers(cipher)
                client = self.connect(running)
                client.ehlo("client.test")
                client.starttls(context)
                client.ehlo("client.test")
                client.deliver(SENDER, [RECIPIENT], CONTENT, " BODY=8BITMIME")
                client.quit()
                self.check(running, "client.test", CONTENT, "TLSv1.2", cipher)
                self.postfix.clear()

    def test_a_wrong_trust_of_the_client_is_its_own_problem(self):
        running = self.start_learned_proxy()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody
        client = self.connect(running)
        client.ehlo("client.test")
        with self.assertRaises(ssl.SSLCertVerificationError):
            client.starttls(context)
        client.close()
        self.assert_delivers(self.tls_session(running))

    # The envelope in the header.

    def test_two_recipients_are_not_named_in_the_header(self):
        running = self.start_learned_proxy()
        client = self.tls_session(running)
        client.deliver(
            SENDER,
            [RECIPIENT, "second@recipient.test"],
            CONTENT,
            " BODY=8BITMIME",
        )
        version, cipher = client.tls.version(), client.tls.cipher()[0]
        client.quit()
        message = self.only_message()
        self.assertEqual(
            message.recipients, [RECIPIENT, "second@recipient.test"]
        )
        self.assert_content(message, CONTENT)
        self.assert_received(
            message.received(1),
            "client.test",
            "127.0.0.1",
            "ESMTPS",
            None,
            tls=(version, cipher),
        )

    def test_helo_is_smtp_even_under_tls(self):
        running = self.start_learned_proxy()
        client = self.connect(running)
        client.ehlo("client.test")
        client.starttls(self.certificates.trust())
        reply = client.command("HELO client.test")
        self.assert_reply(reply, 250)
        self.assertEqual(len(reply.lines), 1, reply)
        client.deliver(SENDER, [RECIPIENT], CONTENT)
        version, cipher = client.tls.version(), client.tls.cipher()[0]
        client.quit()
        message = self.only_message()
        self.assertEqual(message.protocol, "SMTP")
        self.assert_received(
            message.received(1),
            "client.test",
            "127.0.0.1",
            "SMTP",
            RECIPIENT,
            tls=(version, cipher),
        )

    def test_received_header_without_tls_clause(self):
        running = self.start_learned_proxy(tls_received_header="no")
        client = self.tls_session(running)
        client.deliver(SENDER, [RECIPIENT], CONTENT)
        client.quit()
        self.assert_received(
            self.only_message().received(1),
            "client.test",
            "127.0.0.1",
            "ESMTPS",
            RECIPIENT,
        )

    def test_a_bounce_and_several_transactions_in_one_session(self):
        running = self.start_learned_proxy()
        client = self.tls_session(running)
        for sender in ("", "two@sender.test", "three@sender.test"):
            client.deliver(
                sender,
                [RECIPIENT],
                b"Subject: %s\r\n\r\nbody\r\n" % sender.encode(),
            )
        client.quit()
        self.assertEqual(
            sorted(
                (message.sender, message.below(2))
                for message in self.postfix.messages()
            ),
            [
                ("", b"Subject: \n\nbody\n"),
                ("three@sender.test", b"Subject: three@sender.test\n\nbody\n"),
                ("two@sender.test", b"Subject: two@sender.test\n\nbody\n"),
            ],
        )

    def test_E089_message_without_a_header(self):
        running = self.start_learned_proxy()
        client = self.tls_session(running)
        content = b"\r\nOnly a body.\r\n"
        client.deliver(SENDER, [RECIPIENT], content)
        client.quit()
        self.assert_content(self.only_message(), content)

    def test_one_log_line_for_the_transaction(self):
        running = self.start_learned_proxy()
        client = self.tls_session(running)
        reply = client.deliver(SENDER, [RECIPIENT], CONTENT)
        client.quit()
        queue_id = self.only_message().queue_id
        self.assertIn(queue_id, reply.text)
        line = running.wait_for_log(
            r"^.*<?%s>?.*%s.*$" % (re.escape(SENDER), queue_id)
        ).group()
        self.assertIn(RECIPIENT, line)
        self.assertIn("127.0.0.1", line)
        self.assertIn(self.postfix.backend("reuse"), line)
        running.wait_for_log(r"connect from unknown\[127\.0\.0\.1\]$")
