"""AUTH: passed through to Postfix on a connection of the client's own."""

import base64
import smtplib
import threading

import case
import dovecot_auth
import proxy
import smtpclient

_USER, _PASSWORD = "user@users.test", "open sesame"
_SECOND = "second@users.test"
_WRONG = "not-the-password"
_SENDER, _RECIPIENT = "a@sender.test", "b@recipient.test"
_CONTENT = b"Subject: x\r\n\r\ny\r\n"


def exchange(client, mechanism, user, password, initial=False):
    """The whole AUTH dialogue; its last reply."""
    words = dovecot_auth.responses(mechanism, user, password)
    command = "AUTH " + mechanism
    if initial:
        command += " " + words.pop(0)
    reply = client.command(command)
    while reply.code == 334:
        reply = client.command(words.pop(0))
    return reply


class AuthTest(case.PostfixCase):
    def setUp(self):
        super().setUp()
        self.running = self.start_auth_proxy()

    def start_auth_proxy(self, **changes):
        """A proxy that knows that its backend offers AUTH."""
        return self.start_learned_proxy("sasl", **changes)

    def tearDown(self):
        logs = "".join(running.log() for running in self.proxies)
        super().tearDown()
        for password in list(dovecot_auth.USERS.values()) + [_WRONG]:
            self.assertNotIn(password, logs)
            for user in dovecot_auth.USERS:
                for mechanism in ("PLAIN", "LOGIN", "X-STEPS"):
                    for word in dovecot_auth.responses(
                        mechanism, user, password
                    ):
                        self.assertNotIn(word, logs)

    def log_in(self, running=None, mechanism="PLAIN", user=_USER, **how):
        client = self.tls_session(running or self.running, **how)
        reply = exchange(client, mechanism, user, dovecot_auth.USERS[user])
        self.assert_reply(reply, 235, "2.7.0")
        return client

    def assert_sent_by(self, message, method, user):
        self.assertEqual(message.attributes.get("sasl_method"), method)
        self.assertEqual(message.attributes.get("sasl_username"), user)
        self.assertIn("(Authenticated sender: %s)" % user, message.received(0))
        self.assertRegex(message.received(1), r"\) with ESMTPSA id ")

    # It works.

    def test_offered_under_tls_without_the_mechanisms_that_are_not_ours(self):
        client = self.tls_session(self.running)
        self.assertEqual(
            client.extensions["AUTH"].split(),
            list(dovecot_auth.MECHANISMS),
        )

    def test_E070_each_mechanism_with_and_without_initial_response(self):
        for mechanism in ("PLAIN", "LOGIN", "X-STEPS"):
            for initial in (False, True):
                with self.subTest(mechanism=mechanism, initial=initial):
                    self.postfix.clear()
                    client = self.tls_session(self.running)
                    reply = exchange(
                        client, mechanism, _USER, _PASSWORD, initial
                    )
                    self.assert_reply(reply, 235, "2.7.0")
                    client.deliver(_SENDER, [_RECIPIENT], _CONTENT)
                    client.quit()
                    message = self.only_message()
                    self.assert_content(message, _CONTENT)
                    self.assert_sent_by(message, mechanism, _USER)
                    self.assertEqual(message.client, "unknown[127.0.0.1]")
                    self.assertEqual(message.helo, "client.test")
                    name = (
                        ""
                        if mechanism == "X-STEPS"
                        else "sasl_username=%s, " % _USER
                    )
                    self.running.wait_for_log(
                        r"client=unknown\[127\.0\.0\.1\], sasl_method=%s, "
                        r"%sfrom=<%s>" % (mechanism, name, _SENDER)
                    )
        self.running.wait_for_log(r" ehlo=2 starttls=1 auth=1 mail=1 ")

    def test_smtplib(self):
        context = self.certificates.trust(None)
        # The certificate is for mx.test, and smtplib would check the host.
        context.check_hostname = False
        for mechanism in ("PLAIN", "LOGIN", "CRAM-MD5"):
            with self.subTest(mechanism=mechanism):
                self.postfix.clear()
                with smtplib.SMTP("127.0.0.1", self.running.port) as client:
                    client.starttls(context=context)
                    client.ehlo()
                    client.esmtp_features["auth"] = mechanism
                    client.login(_USER, _PASSWORD)
                    client.sendmail(_SENDER, [_RECIPIENT], _CONTENT)
                self.assert_sent_by(self.only_message(), mechanism, _USER)

    def test_E070_every_mail_of_the_session_is_the_users(self):
        client = self.log_in()
        senders = ["m%d@sender.test" % number for number in range(5)]
        for sender in senders:
            client.deliver(sender, [_RECIPIENT], _CONTENT)
            self.assert_reply(client.command("RSET"), 250)
        messages = self.postfix.messages()
        self.assertEqual(sorted(m.sender for m in messages), senders)
        for message in messages:
            self.assert_sent_by(message, "PLAIN", _USER)

    def test_a_name_said_afterwards_is_the_one_that_counts(self):
        client = self.log_in()
        client.ehlo("other.test")
        self.assertNotIn("AUTH", client.extensions)
        client.deliver(_SENDER, [_RECIPIENT], _CONTENT)
        message = self.only_message()
        self.assert_sent_by(message, "PLAIN", _USER)
        self.assertEqual(message.helo, "other.test")
        self.assertIn("from other.test ", message.received(1))

    # It is nobody else's.

    def assert_anonymous(self, client):
        """Postfix does not relay for it."""
        self.assert_reply(client.command("MAIL FROM:<x@sender.test>"), 250)
        reply = client.command("RCPT TO:<%s>" % _RECIPIENT)
        self.assert_reply(reply, 554, "5.7.1")
        self.assert_reply(client.command("RSET"), 250)

    def test_E070_the_connection_is_lent_to_nobody_else(self):
        running = self.start_auth_proxy(backend_max_connections=2)
        client = self.log_in(running)
        other = self.tls_session(running, source="127.0.0.9")
        for _ in range(3):
            self.assert_anonymous(other)
            client.deliver(_SENDER, [_RECIPIENT], _CONTENT)
        client.quit()
        for _ in range(3):
            self.assert_anonymous(other)

    def test_E070_many_users_and_nobodies_at_once(self):
        running = self.start_auth_proxy(backend_max_connections=4)
        trust = self.certificates.trust(None)
        errors = []

        def run(number):
            try:
                user = (None, _USER, _SECOND)[number % 3]
                with smtpclient.session(
                    running.port,
                    trust,
                    "helo-%d.test" % number,
                    source="127.0.4.%d" % (1 + number),
                ) as client:
                    if user is None:
                        self.assert_anonymous(client)
                    else:
                        reply = exchange(
                            client, "LOGIN", user, dovecot_auth.USERS[user]
                        )
                        self.assert_reply(reply, 235)
                        for turn in range(3):
                            sender = "%d-%d@sender.test" % (number, turn)
                            client.deliver(sender, [_RECIPIENT], _CONTENT)
                    client.quit()
            except BaseException as error:  # for the main thread to show
                errors.append((number, error))

        threads = [
            threading.Thread(target=run, args=(number,), daemon=True)
            for number in range(24)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(errors, [])
        messages = self.postfix.messages()
        self.assertEqual(len(messages), 16 * 3)
        for message in messages:
            number = int(message.sender.partition("-")[0])
            user = (None, _USER, _SECOND)[number % 3]
            self.assert_sent_by(message, "LOGIN", user)
            self.assertEqual(message.client, "unknown[127.0.4.%d]" % (1 + number))

    # It fails.

    def test_a_wrong_password_is_refused_in_postfix_words(self):
        client = self.tls_session(self.running)
        reply = exchange(client, "PLAIN", _USER, _WRONG)
        self.assert_reply(reply, 535, "5.7.8")
        self.running.wait_for_log(
            r"warning: unknown\[127\.0\.0\.1\]: SASL PLAIN authentication "
            r"failed: 535 5\.7\.8 Error: authentication failed"
        )
        direct = smtpclient.session(self.postfix.ports["sasl"])
        self.clients.append(direct)
        theirs = exchange(direct, "PLAIN", _USER, _WRONG)
        self.assertEqual(reply.text, theirs.text)
        self.assert_anonymous(client)
        # A further try is on a connection without a past.
        self.assert_reply(exchange(client, "LOGIN", _USER, _PASSWORD), 235)
        client.deliver(_SENDER, [_RECIPIENT], _CONTENT)
        self.assert_sent_by(self.only_message(), "LOGIN", _USER)
        client.quit()
        self.running.wait_for_log(r" auth=1/2 ")

    def test_the_third_wrong_password_is_the_last(self):
        client = self.tls_session(self.running)
        for _ in range(3):
            reply = exchange(client, "LOGIN", _USER, _WRONG)
            self.assert_reply(reply, 535, "5.7.8")
        self.assertRegex(
            self.assert_closes(client, 5).decode(), r"^421 4\.7\.0 [^\n]*\n$"
        )

    def test_cancelled_too_long_or_no_base64(self):
        client = self.tls_session(self.running)
        self.assert_reply(client.command("AUTH LOGIN"), 334)
        self.assert_reply(client.command("*"), 501, "5.7.0")
        self.assert_reply(client.command("AUTH LOGIN"), 334)
        self.assert_reply(client.command("A" * 12289), 500, "5.5.6")
        self.assert_anonymous(client)
        client = self.tls_session(self.running)
        self.assert_reply(client.command("AUTH LOGIN"), 334)
        self.assert_reply(client.command("no base64"), 501, "5.5.2")
        self.assert_reply(client.command("AUTH PLAIN " + "A" * 12000), 535)

    def test_what_is_pipelined_behind_it_is_not_executed(self):
        words = dovecot_auth.responses("PLAIN", _USER, _PASSWORD)
        client = self.tls_session(self.running)
        client.send(
            b"AUTH PLAIN %s\r\nMAIL FROM:<x@sender.test>\r\n"
            % words[0].encode()
        )
        self.assert_reply(client.reply(), 554, "5.5.0")
        self.assertEqual(self.assert_closes(client, 5), b"")
        self.running.wait_for_log("improper command pipelining after AUTH")

    # Where it may stand.

    def test_E068_not_before_tls(self):
        client = self.plain_session(self.running)
        self.assertNotIn("AUTH", client.extensions)
        reply = exchange(client, "PLAIN", _USER, _PASSWORD, initial=True)
        self.assert_reply(reply, 538, "5.7.11")
        running = self.start_auth_proxy(tls_auth_only="no")
        client = self.plain_session(running)
        reply = exchange(client, "PLAIN", _USER, _PASSWORD, initial=True)
        self.assert_reply(reply, 235, "2.7.0")
        client.deliver(_SENDER, [_RECIPIENT], _CONTENT)
        self.assertRegex(
            self.only_message().received(1), r"\) with ESMTPA id "
        )

    def test_E068_not_where_tls_is_required(self):
        running = self.start_auth_proxy(tls_security_level="encrypt")
        client = self.plain_session(running)
        self.assertNotIn("AUTH", client.extensions)
        self.assert_reply(client.command("AUTH PLAIN"), 530, "5.7.0")
        self.log_in(running)

    def test_E069_not_in_a_transaction(self):
        client = self.tls_session(self.running)
        self.assert_reply(client.command("MAIL FROM:<a@sender.test>"), 250)
        self.assert_reply(client.command("AUTH PLAIN"), 503, "5.5.1")
        self.assert_reply(client.command("RSET"), 250)
        self.assert_reply(exchange(client, "PLAIN", _USER, _PASSWORD), 235)

    def test_E071_not_twice(self):
        client = self.log_in()
        self.assert_reply(client.command("AUTH PLAIN"), 503, "5.5.1")
        client.deliver(_SENDER, [_RECIPIENT], _CONTENT)
        self.assert_reply(client.command("AUTH PLAIN"), 503, "5.5.1")

    def test_not_offered_where_it_is_switched_off(self):
        running = self.start_auth_proxy(sasl_auth_enable="no")
        client = self.tls_session(running)
        self.assertNotIn("AUTH", client.extensions)
        self.assert_reply(client.command("AUTH PLAIN"), 503, "5.5.1")

    def test_E055_the_auth_parameter_is_for_the_authenticated(self):
        client = self.log_in()
        client.deliver(
            _SENDER, [_RECIPIENT], _CONTENT, " AUTH=other+40users.test"
        )
        message = self.only_message()
        self.assertEqual(
            message.attributes.get("sasl_sender"), "other+40users.test"
        )

    # It ends.

    def test_E070_a_lost_connection_ends_the_session(self):
        client = self.log_in()
        client.deliver(_SENDER, [_RECIPIENT], _CONTENT)
        self.postfix.stop()
        self.postfix.start()
        reply = client.command("MAIL FROM:<a@sender.test>")
        self.assert_reply(reply, 421, "4.3.0")
        self.assertEqual(self.assert_closes(client, 5), b"")

    def test_E070_drain_says_quit_to_the_backend(self):
        client = self.log_in()
        client.deliver(_SENDER, [_RECIPIENT], _CONTENT)
        self.running.terminate()
        self.assert_reply(client.reply(), 421, "4.3.2")
        self.assertEqual(self.running.wait(10), 0)
        self.assertEqual(proxy.backend_sockets(self.postfix.ports["sasl"]), [])
        self.assertNotIn("lost connection", self.postfix_log())


class AuthLikePostfixTest(case.PostfixCase):
    """What a client sees of AUTH is what Postfix would show it."""

    def dialogue(self, client):
        replies = [client.command("AUTH LOGIN")]
        user = base64.b64encode(_USER.encode()).decode()
        replies.append(client.command(user))
        replies.append(client.command("*"))
        replies.append(client.command("AUTH PLAIN"))
        replies.append(
            client.command(
                dovecot_auth.responses("PLAIN", _USER, _PASSWORD)[0]
            )
        )
        replies.append(client.command("AUTH LOGIN"))
        return [reply.text for reply in replies]

    def test_the_same_replies(self):
        running = self.start_learned_proxy("sasl")
        ours = self.dialogue(self.tls_session(running))
        direct = smtpclient.session(self.postfix.ports["sasl"])
        self.clients.append(direct)
        self.assertEqual(ours, self.dialogue(direct))
