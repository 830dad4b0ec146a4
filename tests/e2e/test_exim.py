"""A real Exim as the backend: mail, extensions, refusals, its own limits."""

import threading

import case
import eximcase
import smtpclient
import util

_CONTENT = (
    b"Subject: to Exim\r\nX-Folded: one\r\n\ttwo\r\n\r\n"
    b".\r\n..\r\n.dot\r\n\r\n" + b"x" * 900 + b"\r\nno dot\r\n\r\n"
)
# Whoever looks for lines in it is lost.
_TRAP = (
    b"Subject: chunks\r\n\r\n.\r\nMAIL FROM:<evil@sender.test>\r\nRSET\r\n"
    b"\r\n.\r\nQUIT\r\n"
)


class DeliveryTest(eximcase.EximCase):
    def deliver(self, client, parameters=""):
        client.deliver(
            "a@sender.test", ["b@recipient.test"], _CONTENT, parameters
        )

    def test_tls_versions(self):
        running = self.start_proxy()
        for version in ("TLSv1.2", "TLSv1.3"):
            with self.subTest(version):
                before = len(self.exim.messages())
                client = self.tls_session(running, version=version)
                self.deliver(client)
                self.assertEqual(client.tls.version(), version)
                message = self.exim.messages()[before]
                self.assert_content(message, _CONTENT)
                self.assert_received(
                    message.received(1),
                    "client.test",
                    "127.0.0.1",
                    "ESMTPS",
                    "b@recipient.test",
                    (version, client.tls.cipher()[0]),
                )
                client.quit()

    def test_what_it_offers(self):
        client = self.tls_session(self.start_proxy())
        offered = set(client.extensions)
        self.assertLessEqual(
            {"PIPELINING", "SIZE", "8BITMIME", "DSN", "CHUNKING", "SMTPUTF8"},
            offered,
        )
        self.assertEqual(client.extensions["SIZE"], str(5 << 20))
        # It offers them, and we do not do them; nor has it these.
        self.assertFalse(
            offered & {"PIPECONNECT", "X_PIPE_CONNECT", "STARTTLS"}, offered
        )
        self.assertFalse(
            offered & {"XCLIENT", "ENHANCEDSTATUSCODES", "BINARYMIME"}, offered
        )

    def test_E054_dsn_and_eight_bit(self):
        client = self.tls_session(self.start_proxy())
        content = b"Subject: 8\r\n\r\n" + bytes(range(128, 256)) + b"\r\n"
        self.assert_reply(
            client.command(
                "MAIL FROM:<a@sender.test> BODY=8BITMIME RET=HDRS ENVID=id+2B1"
            ),
            250,
        )
        self.assert_reply(
            client.command(
                "RCPT TO:<b@recipient.test> NOTIFY=FAILURE,DELAY "
                "ORCPT=rfc822;other@recipient.test"
            ),
            250,
        )
        self.assert_reply(client.data(content), 250)
        message = self.only_message()
        self.assert_content(message, content)
        self.assertEqual(message.attributes["dsn_envid"], "id+2B1")
        self.assertIn(" M8S=8 ", self.exim.log())
        self.assertIn("rfc822;other@recipient.test", message.recipients[0])

    def test_E053_smtputf8(self):
        client = self.tls_session(self.start_proxy())
        sender = "jürgen@sender.test"
        client.envelope(sender, ["b@recipient.test"], " SMTPUTF8")
        self.assert_reply(client.data(_CONTENT), 250)
        message = self.only_message()
        self.assertEqual(message.sender, sender)
        self.assertIn("smtputf8", message.attributes)
        self.assertIn("with UTF8SMTPS id", message.received(1))
        # It is that mail's alone.
        self.assert_delivers(client)
        self.assertNotIn("smtputf8", self.exim.messages()[1].attributes)

    def test_E049_size(self):
        client = self.tls_session(self.start_proxy())
        self.assert_reply(
            client.command("MAIL FROM:<a@sender.test> SIZE=6000000"), 552
        )
        self.assert_delivers(client)

    def test_E041_E043_one_group(self):
        client = self.tls_session(self.start_proxy())
        client.send(
            b"MAIL FROM:<a@sender.test>\r\nRCPT TO:<one@recipient.test>\r\n"
            b"RCPT TO:<refused@recipient.test>\r\n"
            b"RCPT TO:<later@recipient.test>\r\n"
            b"RCPT TO:<two@recipient.test>\r\nDATA\r\n"
        )
        replies = client.replies(6)
        self.assertEqual(
            [reply.code for reply in replies], [250, 250, 550, 451, 250, 354]
        )
        self.assertIn("told to come later", replies[3].text)
        client.send(smtpclient.dot_stuff(_CONTENT) + b".\r\nNOOP\r\n")
        self.assertEqual(
            [reply.code for reply in client.replies(2)], [250, 250]
        )
        message = self.only_message()
        self.assertEqual(
            message.recipients, ["one@recipient.test", "two@recipient.test"]
        )
        self.assert_content(message, _CONTENT)

    def test_E090_chunks(self):
        client = self.tls_session(self.start_proxy())
        half = len(_TRAP) // 2
        for piece in (None, 1, 50):
            with self.subTest(piece=piece):
                before = len(self.exim.messages())
                client.envelope("a@sender.test", ["b@recipient.test"])
                client.send(
                    b"BDAT %d\r\n%sBDAT %d LAST\r\n%s"
                    % (half, _TRAP[:half], len(_TRAP) - half, _TRAP[half:]),
                    piece,
                )
                self.assertEqual(
                    [reply.code for reply in client.replies(2)], [250, 250]
                )
                self.assert_content(self.exim.messages()[before], _TRAP)

    def test_E091_chunks_behind_refused_recipients(self):
        client = self.tls_session(self.start_proxy())
        client.send(
            b"MAIL FROM:<a@sender.test>\r\nRCPT TO:<refused@r.test>\r\n"
            b"BDAT %d LAST\r\n%sNOOP\r\n" % (len(_TRAP), _TRAP)
        )
        codes = [reply.code for reply in client.replies(4)]
        self.assertEqual(codes[:2] + codes[3:], [250, 550, 250])
        self.assertEqual(codes[2] // 100, 5)
        client.command("RSET")
        self.assert_delivers(client)

    def test_refused_at_the_end_of_data(self):
        client = self.tls_session(self.start_proxy())
        for subject, code in ((b"refuse-me", 550), (b"later-me", 451)):
            with self.subTest(subject):
                content = b"Subject: %s\r\n\r\nbody\r\n" % subject
                client.envelope("a@sender.test", ["b@recipient.test"])
                self.assert_reply(client.data(content), code)
                client.envelope("a@sender.test", ["b@recipient.test"])
                client.send(b"BDAT %d LAST\r\n%s" % (len(content), content))
                self.assert_reply(client.reply(), code)
        self.assertEqual(self.exim.messages(), [])
        self.assert_delivers(client)

    def test_restart(self):
        client = self.tls_session(
            self.start_proxy(
                backend_warm_spares=0, backend_backoff_max="500ms"
            )
        )
        self.assert_delivers(client)
        self.exim.stop()
        self.exim.start()

        def delivered():
            reply = client.command("MAIL FROM:<later@sender.test>")
            if reply.code != 250:
                self.assertEqual(reply.code // 100, 4, reply.text)
            return reply.code == 250

        util.wait_until(delivered, 20, "250 after Exim's restart")
        client.command("RSET")
        self.assert_delivers(client, "after@sender.test")

    def test_restart_in_a_message(self):
        client = self.tls_session(self.start_proxy())
        client.envelope("a@sender.test", ["b@recipient.test"])
        self.assert_reply(client.command("DATA"), 354)
        self.exim.stop()
        client.send(_CONTENT + b".\r\n")
        self.assertEqual(client.reply().code // 100, 4)
        self.exim.start()
        self.assertEqual(self.exim.messages(), [])

    def test_tls_to_it(self):
        """Its TLS is GnuTLS, ours OpenSSL."""
        running = self.start_proxy(
            backend_tls_security_level="encrypt", backend_tls_loglevel=1
        )
        self.assert_delivers(self.tls_session(running))
        message = self.only_message()
        self.assertIn("esmtps", message.received(0))
        self.assertIn("TLS1.3", message.received(0))


class IdentityTest(eximcase.EximCase):
    def send(self, running, number, **how):
        client = self.tls_session(
            running,
            "c%d.test" % number,
            source="127.0.0.%d" % (10 + number),
            **how
        )
        client.deliver(
            "m@c%d.test" % number, ["r@recipient.test"], _CONTENT
        )
        return client

    def test_proxy_protocol(self):
        running = self.start_proxy("haproxy", backend_identity="proxy")
        clients = [self.send(running, number) for number in range(3)]
        for message in self.exim.messages():
            number = int(message.sender[3:-5])
            source = "127.0.0.%d" % (10 + number)
            port = clients[number].source_port
            self.assertEqual(
                message.attributes["host_address"], "[%s]:%d" % (source, port)
            )
            self.assertEqual(message.helo, "c%d.test" % number)
            self.assertIn("[%s]" % source, message.received(0))
            self.assert_content(message, _CONTENT)
            self.assertRegex(
                self.exim.log(),
                r"<= m@c%d\.test H=\(c%d\.test\) \[%s\]:%d .* PRX=127\.0\.0\.1"
                % (number, number, source.replace(".", r"\."), port),
            )
        self.assertEqual(len(self.exim.messages()), 3)

    def test_proxy_protocol_with_pipelined_groups_and_chunks(self):
        running = self.start_proxy("haproxy", backend_identity="proxy")
        client = self.tls_session(running, source="127.0.0.77")
        for _ in range(3):
            client.send(
                b"MAIL FROM:<a@sender.test>\r\nRCPT TO:<b@r.test>\r\n"
                b"BDAT %d LAST\r\n%s" % (len(_TRAP), _TRAP)
            )
            self.assertEqual(
                [reply.code for reply in client.replies(3)], [250] * 3
            )
        for message in self.exim.messages():
            self.assert_content(message, _TRAP)
            self.assertIn("[127.0.0.77]", message.received(0))

    def test_a_header_that_is_not_expected(self):
        """Identity proxy at a port that takes none: 451, and nothing else."""
        running = case.Case.start_proxy(
            self, self.exim.backend(), backend_identity="proxy", workers=1
        )
        client = self.tls_session(running)
        self.assertEqual(
            client.command("MAIL FROM:<a@sender.test>").code // 100, 4
        )
        self.assertEqual(self.exim.messages(), [])
        # It takes the header for commands that it does not know.
        self.exim.wait_for_log("unrecognized command")

    def two_on_one_connection(self, running):
        first, second = (self.send(running, number) for number in range(2))
        first.deliver("m@c2.test", ["r@recipient.test"], _CONTENT)
        for message in self.exim.messages():
            self.assert_content(message, _CONTENT)
            # It knows of nobody but us, and cannot mix anybody up.
            self.assertEqual(message.client, "127.0.0.1")
            self.assertNotRegex(message.helo, r"^c\d\.test$")
        self.assertEqual(self.connections(), 1)
        for client in (first, second):
            client.quit()

    def test_none(self):
        self.two_on_one_connection(
            self.start_proxy(backend_identity="none", backend_warm_spares=0)
        )

    def test_auto_finds_no_xclient_and_says_so(self):
        running = self.start_proxy(backend_warm_spares=0)
        self.two_on_one_connection(running)
        running.wait_for_log(
            r"%s offers no XCLIENT" % self.exim.backend().replace(".", r"\.")
        )
        self.assertEqual(running.log().count("offers no XCLIENT"), 1)

    def test_E100_xclient_that_is_required_is_451(self):
        running = self.start_proxy(backend_identity="xclient")
        client = self.tls_session(running)
        self.assert_reply(client.command("MAIL FROM:<a@sender.test>"), 451)
        running.wait_for_log("does not offer XCLIENT")


class FewMailsTest(eximcase.EximCase):
    settings = "smtp_accept_max_per_connection = 2\n"

    def test_mails_beyond_what_it_takes_on_a_connection(self):
        """421 to the third MAIL: the client of it hears nothing of that."""
        running = self.start_proxy(backend_warm_spares=0)
        clients = [
            self.tls_session(running, "c%d.test" % number)
            for number in range(3)
        ]
        for turn in range(3):
            for number, client in enumerate(clients):
                client.deliver(
                    "m%d@c%d.test" % (turn, number),
                    ["r@recipient.test"],
                    _CONTENT,
                )
        messages = self.exim.messages()
        self.assertEqual(len(messages), 9)
        for message in messages:
            self.assert_content(message, _CONTENT)
        self.assertEqual(self.connections(), 5)


class FewConnectionsTest(eximcase.EximCase):
    most_connections = 2

    def test_connections_beyond_what_it_takes(self):
        """421 instead of a greeting: whoever can be served is, once."""
        running = self.start_proxy(
            backend_max_connections=6,
            backend_warm_spares=0,
            pool_wait_timeout="20s",
            backend_backoff_max="500ms",
        )
        outcomes = {}

        def send(number):
            client = smtpclient.session(
                running.port, self.certificates.trust(), "c%d.test" % number
            )
            with client:
                sender = "m@c%d.test" % number
                reply = client.command("MAIL FROM:<%s>" % sender)
                if reply.code == 250:
                    client.command("RCPT TO:<r@recipient.test>")
                    reply = client.data(_CONTENT)
                outcomes[sender] = reply.code

        threads = [
            threading.Thread(target=send, args=(number,), daemon=True)
            for number in range(12)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(len(outcomes), 12)
        self.assertLessEqual(set(outcomes.values()), {250, 421, 451})
        sent = sorted(
            sender for sender, code in outcomes.items() if code == 250
        )
        self.assertEqual(
            sorted(message.sender for message in self.exim.messages()), sent
        )
        self.assertGreaterEqual(len(sent), 2)
        self.assert_delivers(self.tls_session(running))


class OthersErrorsTest(eximcase.EximCase):
    """What Exim counts per connection is many clients' behind a pool."""

    settings = (
        "smtp_accept_max_nonmail = 5\n"
        "smtp_max_unknown_commands = 3\n"
        "smtp_max_synprot_errors = 3\n"
    )

    def test_transactions_that_come_to_nothing(self):
        """RSET is no mail to Exim: 554 and a close after a few."""
        running = self.start_proxy(backend_warm_spares=0)
        innocent = self.tls_session(running, "innocent.test")
        for turn in range(12):
            with self.connect(running) as other:
                other.ehlo("other%d.test" % turn)
                self.assert_reply(
                    other.command("MAIL FROM:<o@sender.test>"), 250
                )
                self.assert_reply(other.command("RSET"), 250)
            self.assert_delivers(innocent, "i%d@sender.test" % turn)

    def test_syntax_errors_and_refused_recipients(self):
        running = self.start_proxy(backend_warm_spares=0)
        innocent = self.tls_session(running, "innocent.test")
        for turn in range(6):
            with self.connect(running) as hostile:
                hostile.ehlo("hostile%d.test" % turn)
                hostile.command("MAIL FROM:<h@sender.test>")
                for line in (
                    "RCPT TO:<refused@recipient.test>",
                    "RCPT TO:<a@@b@c>",
                    "RCPT TO:<(>",
                    "XYZZY",
                    "BDAT x",
                ):
                    with self.subTest(line):
                        self.assertGreaterEqual(hostile.command(line).code, 400)
            self.assert_delivers(innocent, "i%d@sender.test" % turn)
