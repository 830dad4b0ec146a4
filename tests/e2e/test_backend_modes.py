"""Each way of using a backend, against real Postfix: who it takes for whom."""

import re

import case
import fakebackend
import forwarder
import postfix_config
import util

_CONTENT = b"Subject: mode\r\n\r\nHello.\r\n"


class BackendModesTest(case.PostfixCase):
    def send(self, running, number, tls=True, **how):
        """One client's mail; the client stays connected."""
        connect = self.tls_session if tls else self.plain_session
        client = connect(
            running,
            "c%d.test" % number,
            source="127.0.0.%d" % (10 + number),
            **how
        )
        self.deliver(client, number)
        return client

    def deliver(self, client, number, mail=0):
        client.deliver(
            "m%d@c%d.test" % (mail, number), ["r@recipient.test"], _CONTENT
        )

    def clients_of(self, messages):
        """What Postfix took each sender's mail for: (client, helo)."""
        return {
            message.sender: (message.client, message.helo)
            for message in messages
        }

    def assert_each_is_told(self, count=3):
        """m0@cN.test came from 127.0.0.1N under the name cN.test."""
        self.assertEqual(
            self.clients_of(self.postfix.messages()),
            {
                "m0@c%d.test"
                % number: (
                    "unknown[127.0.0.%d]" % (10 + number),
                    "c%d.test" % number,
                )
                for number in range(count)
            },
        )

    def connects(self, listener):
        return len(
            re.findall(
                r"postfix/%s/smtpd\[\d+\]: connect from" % listener,
                self.postfix_log(),
            )
        )

    # Identity.

    def test_E101_xclient_on_a_shared_connection(self):
        running = self.start_proxy(
            "reuse", workers=1, backend_warm_spares=0, backend_identity="xclient"
        )
        for number in range(3):
            self.send(running, number)
        self.assert_each_is_told()
        self.assertEqual(self.connects("reuse"), 1)

    def test_E101_one_xclient_per_connection(self):
        running = self.start_proxy("single", workers=1)
        for number in range(3):
            self.send(running, number)
        self.assert_each_is_told()
        running.wait_for_log("takes one XCLIENT per connection")

    def test_xforward(self):
        running = self.start_proxy(
            "xforward",
            workers=1,
            backend_warm_spares=0,
            backend_identity="xforward",
        )
        for number in range(3):
            self.send(running, number)
        # Postfix keeps both: whom it talks to, and whom it was told of.
        self.assert_each_is_told()
        self.assertEqual(self.connects("xforward"), 1)

    def test_xforward_is_forgotten_with_its_transaction(self):
        running = self.start_proxy(
            "xforward",
            workers=1,
            backend_warm_spares=0,
            backend_max_connections=1,
            backend_identity="xforward",
        )
        first = self.send(running, 0)
        first.command("MAIL FROM:<left@c0.test>")
        first.command("RSET")
        self.send(running, 1)
        self.deliver(first, 0, mail=1)
        told = self.clients_of(self.postfix.messages())
        self.assertEqual(told["m0@c1.test"][0], "unknown[127.0.0.11]")
        self.assertEqual(told["m1@c0.test"][0], "unknown[127.0.0.10]")

    def test_proxy_protocol(self):
        running = self.start_proxy("haproxy", backend_identity="proxy")
        self.send(running, 0)
        self.send(running, 1, tls=False)
        self.send(running, 2)
        self.assert_each_is_told()
        self.assertNotIn("lost connection", self.postfix_log())

    def test_proxy_protocol_keeps_one_connection_per_client(self):
        running = self.start_proxy(
            "haproxy", workers=1, backend_identity="proxy"
        )
        client = self.send(running, 0)
        for mail in range(1, 4):
            self.deliver(client, 0, mail)
        self.assertEqual(len(self.postfix.messages()), 4)
        # And the one that asks what is offered, which names no client.
        self.assertLessEqual(self.connects("haproxy"), 2)
        client.quit()
        util.wait_until(
            lambda: re.search(
                r"postfix/haproxy/smtpd\[\d+\]: disconnect from "
                r"unknown\[127\.0\.0\.10\] ehlo=1 mail=4 rcpt=4 data=4 quit=1",
                self.postfix_log(),
            ),
            5,
            "the client's own connection to end with it",
        )

    def test_postscreen_judges_the_client(self):
        """Behind us, told by a PROXY header: its lists are about clients."""
        running = self.start_proxy("screened", backend_identity="proxy")
        self.send(running, 0)
        self.send(running, 1, tls=False)
        denied = self.tls_session(
            running, source=postfix_config.SCREENED_OUT
        )
        denied.command("MAIL FROM:<a@sender.test>")
        self.assert_reply(
            denied.command("RCPT TO:<r@recipient.test>"), 550, r"5\.3\.2"
        )
        self.assert_each_is_told(2)
        self.assertRegex(
            self.postfix_log(),
            r"postfix/screened/postscreen\[\d+\]: (?:DENY|BLACK)LISTED \[%s\]"
            % re.escape(postfix_config.SCREENED_OUT),
        )

    def test_none(self):
        running = self.start_proxy("plain", backend_identity="none")
        for number in range(3):
            self.send(running, number)
        self.assertEqual(
            {message.client for message in self.postfix.messages()},
            {"unknown[127.0.0.1]"},
        )

    def test_E100_xforward_that_is_not_offered_is_451(self):
        running = self.start_proxy("plain", backend_identity="xforward")
        client = self.tls_session(running)
        self.assert_reply(
            client.command("MAIL FROM:<a@sender.test>"), 451, r"4\.3\.\d"
        )
        running.wait_for_log("does not offer XFORWARD")
        self.assertEqual(self.postfix.messages(), [])

    # pool_mode = session.

    def test_session_mode_keeps_a_connection_to_the_clients_end(self):
        for listener in ("single", "reuse", "plain"):
            with self.subTest(listener=listener):
                self.postfix.clear()
                running = self.start_proxy(
                    listener,
                    workers=1,
                    pool_mode="session",
                    backend_warm_spares=0,
                )
                before = self.connects(listener)
                clients = [self.send(running, number) for number in range(2)]
                for number, client in enumerate(clients):
                    client.command("MAIL FROM:<left@c.test>")
                    client.command("RSET")
                    client.ehlo("c%d.test" % number)
                    self.deliver(client, number, mail=1)
                self.assertEqual(len(self.postfix.messages()), 4)
                told = self.clients_of(self.postfix.messages())
                if listener != "plain":
                    for mail in range(2):
                        for number in range(2):
                            self.assertEqual(
                                told["m%d@c%d.test" % (mail, number)],
                                (
                                    "unknown[127.0.0.%d]" % (10 + number),
                                    "c%d.test" % number,
                                ),
                            )
                # One asks what is offered; it may become a client's.
                self.assertLessEqual(self.connects(listener) - before, 3)
                for client in clients:
                    client.quit()

    def test_session_mode_survives_a_restart_between_two_mails(self):
        running = self.start_proxy("single", workers=1, pool_mode="session")
        client = self.send(running, 0)
        self.postfix.stop()
        self.postfix.start()

        def delivered():
            reply = client.command("MAIL FROM:<m1@c0.test>")
            if reply.code != 250:
                self.assert_reply(reply, 451)
            return reply.code == 250

        util.wait_until(delivered, 20, "250 after the restart")
        client.command("RSET")
        self.deliver(client, 0, mail=2)

    def test_E108_quit_is_answered_at_once(self):
        backend = fakebackend.FakeBackend(offers=("PIPELINING",))
        self.addCleanup(backend.close)
        for mode in ("transaction", "session"):
            running = self.start_proxy(
                backend=backend.address, workers=1, pool_mode=mode
            )
            client = self.tls_session(running)
            self.assert_reply(client.command("MAIL FROM:<a@b.test>"), 250)
            self.assert_reply(client.command("QUIT"), 221)
        util.wait_until(
            lambda: backend.verbs(False).count("RSET") == 2,
            5,
            "RSET to the backend",
        )

    # Ourselves.

    def test_backend_that_leads_back_to_us(self):
        """By way of something that merely passes connections on."""
        way = forwarder.Forwarder()
        self.addCleanup(way.close)
        way.target = util.free_port()
        running = self.start_proxy(backend=way.address, port=way.target)
        for _ in range(3):
            client = self.plain_session(running)
            reply = client.command("MAIL FROM:<a@sender.test>")
            self.assert_reply(reply, 451)
        running.wait_for_log(
            "this is tlspost itself; set backend to the mail server's own"
        )
        # Each try is one connection, and one line tells of them all.
        self.assertLess(way.connections, 20)
        self.assertEqual(running.log().count("tlspost itself"), 1)

    # Several backends.

    def test_E103_a_backend_that_is_down_makes_nobody_wait(self):
        dead = "127.0.0.1:%d" % util.free_port()
        running = self.start_proxy(
            backend=[dead, self.postfix.backend("reuse")], workers=1
        )
        for number in range(3):
            self.send(running, number)
        self.assert_each_is_told()
        self.assertNotIn("clients get 451", running.log())

    def test_two_backends_share_the_work(self):
        running = self.start_proxy(
            backend=[
                self.postfix.backend("reuse"),
                self.postfix.backend("single"),
            ],
            workers=1,
        )
        for number in range(8):
            self.send(running, number)
        self.assert_each_is_told(8)
        for listener in ("reuse", "single"):
            self.assertIn(
                "postfix/%s/smtpd" % listener, self.postfix_log()
            )
            self.assertGreaterEqual(self.connects(listener), 1)
