"""What a client may do inside and around TLS, on both kinds of listeners."""

import os
import re
import ssl
import subprocess
import time

import debian
import dialogue
import keyupdate
import smtpclient
import tlscase

_RELAYED = {
    "PIPELINING",
    "SIZE",
    "VRFY",
    "ENHANCEDSTATUSCODES",
    "8BITMIME",
    "DSN",
    "SMTPUTF8",
    "CHUNKING",
}


class DialogueTest(tlscase.TlsCase):
    def test_E012_starttls_with_a_parameter(self):
        client = self.plain_session(self.start_proxy())
        self.assert_reply(client.command("STARTTLS x"), 501, r"5\.5\.4")
        client.starttls(self.certificates.trust())
        client.ehlo()
        self.assert_delivers(client)

    def test_E013_starttls_inside_tls(self):
        running = self.start_proxy()
        for implicit in (False, True):
            with self.subTest(implicit=implicit):
                client = self.tls_client(running, implicit=implicit)
                self.assertNotIn("STARTTLS", client.extensions)
                reply = client.command("STARTTLS")
                self.assertIn(reply.code, (503, 554), reply.text)
                self.assertEqual(reply.enhanced, "5.5.1")
                self.assert_delivers(client)

    def test_E016_a_transaction_from_before_tls(self):
        client = self.plain_session(self.start_proxy())
        client.envelope("before@sender.test", ["before@recipient.test"])
        reply = client.command("STARTTLS")
        if reply.code == 503:  # the other choice: not in a transaction
            self.assert_reply(client.data(tlscase.BODY), 250)
            return
        self.assert_reply(reply, 220)
        client.handshake(self.certificates.trust())
        client.ehlo()
        self.assert_reply(client.command("DATA"), 503)
        self.assert_reply(client.command("RCPT TO:<b@recipient.test>"), 503)
        self.assertEqual(self.postfix.messages(), [])
        self.assert_delivers(client)

    def test_E017_mail_without_a_new_ehlo(self):
        running = self.start_proxy()
        for implicit in (False, True):
            with self.subTest(implicit=implicit):
                client = self.tls_connect(running, implicit=implicit)
                self.assert_reply(
                    client.command("MAIL FROM:<a@sender.test>"),
                    503,
                    r"5\.5\.1",
                )
                client.ehlo()
                self.assert_delivers(client)

    def test_E018_the_name_from_inside_tls_counts(self):
        client = self.connect(self.start_proxy())
        client.ehlo("before.test")
        client.starttls(self.certificates.trust())
        client.ehlo("after.test")
        self.assert_delivers(client)
        message = self.only_message()
        self.assertEqual(message.helo, "after.test")
        self.assertIn("from after.test (", message.received(1))
        self.assertNotIn(b"before.test", message.content)

    def test_E019_starttls_before_ehlo(self):
        client = self.connect(self.start_proxy())
        self.assert_reply(client.command("STARTTLS"), 503, r"5\.5\.1")

    def test_E038_encrypt_before_and_after_tls(self):
        running = self.start_proxy(tls_security_level="encrypt")
        client = self.plain_session(running)
        for line in (
            "MAIL FROM:<a@sender.test>",
            "RCPT TO:<b@recipient.test>",
            "DATA",
            "RSET",
            "VRFY a",
            "AUTH PLAIN AGEAYg==",
            "HELP",
        ):
            reply = client.command(line)
            self.assertEqual(
                (reply.code, reply.enhanced), (530, "5.7.0"), line
            )
            self.assertIn("STARTTLS", reply.text)
        for line, code in (("NOOP", 250), ("HELO client.test", 250)):
            self.assert_reply(client.command(line), code)
        client.ehlo()
        client.starttls(self.certificates.trust())
        client.ehlo()
        self.assert_delivers(client)
        # Where TLS comes first it is there from the start.
        self.assert_delivers(self.tls_client(running, implicit=True))

    def test_E032_end_without_close_notify_after_quit(self):
        running = self.start_proxy()
        for implicit in (False, True):
            client = self.tls_client(running, implicit=implicit)
            before = len(running.log())
            self.assert_reply(client.command("QUIT"), 221)
            client.close()
            self.wait_for_line(running, before, "disconnect from")
            time.sleep(0.05)
            self.assertNotRegex(
                running.log()[before:], r"warning|lost connection|SSL|error"
            )

    def test_E031_stream_cut_off_in_a_message(self):
        running = self.start_proxy()
        for implicit in (False, True):
            for ending in ("nothing", "close_notify", "dot and nothing"):
                with self.subTest(ending, implicit=implicit):
                    before = len(running.log())
                    client = self.tls_client(running, implicit=implicit)
                    client.envelope("a@sender.test", ["b@recipient.test"])
                    self.assert_reply(client.command("DATA"), 354)
                    client.send(b"Subject: half\r\n\r\nhalf\r\n")
                    if ending == "close_notify":
                        client.close_notify()
                    elif ending == "dot and nothing":
                        # In plaintext beside TLS: an attacker's, no end.
                        client.send_raw(b".\r\n")
                    client.close()
                    self.wait_for_line(running, before, "disconnect from")
                    self.assertEqual(self.postfix.messages(), [])

    def test_E030_more_after_close_notify(self):
        """What comes behind is not read; replies still go out."""
        running = self.start_proxy()
        for implicit in (False, True):
            with self.subTest(implicit=implicit):
                client = self.tls_client(running, implicit=implicit)
                client.send(b"NOOP\r\n")
                behind = client.encrypt(b"MAIL FROM:<evil@sender.test>\r\n")
                client.close_notify()
                client.send_raw(behind)
                try:
                    self.assert_reply(client.reply(), 250)
                    rest = self.assert_closes(client, 5)
                except (OSError, smtpclient.Closed):
                    rest = b""  # Closed with something unread: a reset.
                self.assertNotIn(b"250", rest)
        self.assertNotIn("evil@", running.log())

    def test_offer_inside_and_outside(self):
        """The how-to's EHLO list: the backend's, cut to what we do."""
        running = self.start_learned_proxy()
        plain = self.plain_session(running)
        self.assertEqual(set(plain.extensions), _RELAYED | {"STARTTLS"})
        for implicit in (False, True):
            client = self.tls_client(running, implicit=implicit)
            self.assertEqual(set(client.extensions), _RELAYED)
            self.assertEqual(client.extensions["SIZE"], "10240000")
        reply = plain.command("HELO client.test")
        self.assertEqual(reply.lines, ["250 mx.test"])

    def test_lines_that_end_in_lf(self):
        """nc localhost 25, as the how-to types it."""
        client = self.connect(self.start_proxy())
        client.send(b"EHLO x\n")
        reply = client.reply()
        self.assert_reply(reply, 250)
        self.assertIn("250-STARTTLS", [line[:12] for line in reply.lines])
        client.send(b"STARTTLS\n")
        reply = client.reply()
        self.assert_reply(reply, 220)
        self.assertGreater(len(reply.text), 4)
        client.handshake(self.certificates.trust())
        client.send(b"EHLO x\n")
        self.assert_reply(client.reply(), 250)
        for line, code in (
            (b"MAIL FROM:<a@sender.test>\n", 250),
            (b"RCPT TO:<b@recipient.test>\n", 250),
            (b"DATA\n", 354),
            (b"Subject: x\r\n\r\ny\r\n.\r\n", 250),
            (b"QUIT\n", 221),
        ):
            client.send(line)
            self.assert_reply(client.reply(), code)
        self.assertIn(b"\ny\n", self.only_message().content)

    def test_octets_of_a_handshake_one_at_a_time(self):
        running = self.start_proxy()
        for implicit in (False, True):
            for version in ("TLSv1.2", "TLSv1.3"):
                with self.subTest(version, implicit=implicit):
                    client = self.connect(
                        self.at(running, implicit), greet=not implicit
                    )
                    if not implicit:
                        client.ehlo()
                        self.assert_reply(client.command("STARTTLS"), 220)
                    whole = client.socket
                    client.socket = _Dribble(whole)
                    client.handshake(self.certificates.trust(version))
                    client.socket = whole
                    if implicit:
                        self.assert_reply(client.reply(), 220)
                    client.ehlo()
                    self.assert_delivers(client)

    def at(self, running, implicit):
        """Something to connect() to at that listener."""

        class Listener:
            port = running.implicit_port if implicit else running.port

        return Listener


class _Dribble:
    """A socket that sends each octet in a segment of its own."""

    def __init__(self, socket):
        self._socket = socket

    def sendall(self, data):
        for index in range(len(data)):
            self._socket.sendall(data[index : index + 1])

    def __getattr__(self, name):
        return getattr(self._socket, name)


class AbuseTest(tlscase.TlsCase):
    """Renegotiation, early data, key updates: costs a client may not cause."""

    def s_client(self, running, *more):
        openssl, environment = debian.program("openssl")
        return (
            [openssl, "s_client", "-starttls", "smtp"]
            + ["-connect", "127.0.0.1:%d" % running.port]
            + list(more),
            environment,
        )

    def test_E027_renegotiation_is_refused(self):
        running = self.start_proxy(workers=1)
        talk = dialogue.Dialogue(*self.s_client(running, "-tls1_2"))
        try:
            talk.expect(rb"^New, TLSv1.2")
            for _ in range(3):
                talk.say(b"R\n")
                talk.expect(rb"RENEGOTIATING")
                time.sleep(0.05)
        except (AssertionError, BrokenPipeError):
            pass  # The session may stay or be closed; not be renegotiated.
        finally:
            talk.end()
        self.assertEqual(running.log().count("TLS connection established"), 1)
        self.assert_delivers(self.tls_client(running))

    def test_E028_early_data_is_not_taken(self):
        running = self.start_proxy()
        folder = self.folder()
        session = os.path.join(folder, "session")
        early = self.file("NOOP\r\n")
        for arguments, wanted in (
            (["-sess_out", session], None),
            (
                ["-sess_in", session, "-early_data", early],
                b"Early data was not sent|Early data was rejected",
            ),
        ):
            talk = dialogue.Dialogue(
                *self.s_client(running, "-tls1_3", *arguments)
            )
            try:
                if wanted:
                    talk.expect(rb"^Reused, TLSv1\.3")
                    talk.expect(wanted)
                talk.say(b"quit\r\n")
                talk.expect(rb"^221 ")
                if not wanted:
                    # s_client keeps what it says of tickets until its end.
                    talk.expect(rb"Max Early Data: 0")
            finally:
                talk.end()

    def tls13(self, running):
        client = self.connect(running)
        client.ehlo()
        self.assert_reply(client.command("STARTTLS"), 220)
        tls = keyupdate.Client(client.socket)
        self.addCleanup(tls.close)
        return tls

    def test_E029_a_few_key_updates_are_fine(self):
        tls = self.tls13(self.start_proxy())
        for answered in (False, True):
            self.assertTrue(tls.update_keys(answered))
            self.assertTrue(tls.write(b"NOOP\r\n"))
            self.assertTrue(tls.read().startswith(b"250 "))

    def test_E029_a_flood_of_key_updates_ends_the_session(self):
        for answered in (False, True):
            with self.subTest(answered=answered):
                running = self.start_proxy(workers=1)
                tls = self.tls13(running)
                sent = 0
                while sent < 100000 and tls.update_keys(answered):
                    sent += 1
                self.assertLess(sent, 100000)
                running.wait_for_log(r"(?i)key update")
                self.assert_delivers(self.tls_client(running))

    def test_E118_no_compression_and_no_weak_renegotiation(self):
        command, environment = self.s_client(self.start_proxy(), "-tls1_2")
        said = subprocess.run(
            command,
            input="quit\n",
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        ).stdout
        self.assertIn("Compression: NONE", said)
        self.assertIn("Secure Renegotiation IS supported", said)

    def test_no_certificate_is_asked_for_later(self):
        """No post-handshake authentication, whoever offers it."""
        running = self.start_proxy()
        context = self.certificates.trust("TLSv1.3")
        context.post_handshake_auth = True
        client = self.tls_client(running, context)
        self.assert_delivers(client)
        self.assertIn(
            "No client certificate requested", self.only_message().received(1)
        )

    def test_records_behind_the_last_command(self):
        """A broken record inside TLS ends the session, and no other."""
        running = self.start_proxy(workers=1)
        other = self.tls_client(running)
        client = self.tls_client(running)
        before = len(running.log())
        client.send_raw(b"\x17\x03\x03\x00\x20" + b"x" * 32)
        try:
            self.assert_closes(client, 5)
        except ssl.SSLError:
            pass  # The alert that says so.
        self.wait_for_line(running, before, "disconnect from")
        self.assertTrue(re.search("lost connection", running.log()[before:]))
        self.assert_delivers(other)
