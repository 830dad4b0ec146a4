"""Everything has a bound: times, lines, errors, connections, the pool."""

import socket
import signal
import struct
import time

import case
import smtpclient


class TimeoutTest(case.PostfixCase):
    def assert_times_out(self, client, started, low, high):
        self.assert_reply(client.reply(), 421, r"4\.4\.2")
        elapsed = time.monotonic() - started
        self.assertGreater(elapsed, low)
        self.assertLess(elapsed, high)
        self.assertEqual(self.assert_closes(client, 5), b"")

    def test_silent_clients(self):
        running = self.start_proxy(command_timeout="1s")
        greeted = self.connect(running)
        started = time.monotonic()
        self.assert_times_out(greeted, started, 0.7, 4)
        client = self.tls_session(running)
        client.envelope("a@sender.test", ["b@recipient.test"])
        self.assert_times_out(client, time.monotonic(), 0.7, 4)
        running.wait_for_log(
            r"timeout after RCPT from unknown\[127\.0\.0\.1\]"
        )

    def test_slow_command(self):
        """The deadline is the command's, not the byte's."""
        client = self.tls_session(self.start_proxy(command_timeout="1s"))
        started = time.monotonic()
        for octet in b"NOOP is ta":
            try:
                client.send(bytes([octet]))
            except OSError:
                break
            time.sleep(0.2)
        self.assert_times_out(client, started, 0.7, 4)

    def test_silence_in_a_message(self):
        running = self.start_proxy(
            data_timeout="1s",
            workers=1,
            backend_max_connections=1,
            backend_warm_spares=0,
        )
        client = self.tls_session(running)
        client.envelope("slow@sender.test", ["b@recipient.test"])
        self.assert_reply(client.command("DATA"), 354)
        client.send(b"Subject: slow\r\n\r\nhalf")
        self.assert_times_out(client, time.monotonic(), 0.7, 4)
        # Nothing was delivered, and the one backend connection is free again.
        self.assert_delivers(self.tls_session(running), "next@sender.test")
        self.assertEqual(self.only_message().sender, "next@sender.test")


class LimitTest(case.PostfixCase):
    def test_long_lines(self):
        running = self.start_proxy(line_length_limit=1024)
        client = self.tls_session(running)
        self.assert_reply(client.command("NOOP " + "x" * 900), 250)
        self.assertEqual(client.command("NOOP " + "x" * 1100).code, 500)
        self.assertEqual(client.command("NOOP " + "x" * 200000).code, 500)
        self.assert_delivers(client)

    def test_control_characters(self):
        client = self.tls_session(self.start_proxy())
        for line in (
            b"EHLO a\0b.test",
            b"MAIL FROM:<a\0@sender.test>",
            b"EHLO x\ry.test",
            b"RCPT TO:<\x01@recipient.test>",
        ):
            with self.subTest(line):
                self.assertEqual(client.command(line).code // 100, 5)
        self.assert_delivers(client)

    def test_too_many_errors(self):
        client = self.tls_session(self.start_proxy(hard_error_limit=5))
        codes = []
        for _ in range(20):
            reply = client.command("NONSENSE")
            codes.append(reply.code)
            if reply.code == 421:
                break
        self.assertEqual(codes[-1], 421, codes)
        self.assertLessEqual(len(codes), 6)
        self.assert_closes(client, 5)

    def test_clients_that_reset_before_they_are_accepted(self):
        """They have no address any more; the others are served."""
        running = self.start_proxy()
        running.process.send_signal(signal.SIGSTOP)
        try:
            for _ in range(20):
                with socket.socket() as client:
                    client.connect(("127.0.0.1", running.port))
                    client.setsockopt(
                        socket.SOL_SOCKET,
                        socket.SO_LINGER,
                        struct.pack("ii", 1, 0),
                    )
        finally:
            running.process.send_signal(signal.SIGCONT)
        self.assert_delivers(self.tls_session(running))

    def test_max_connections(self):
        running = self.start_proxy(max_connections=3, workers=2)
        held = [self.plain_session(running) for _ in range(3)]
        try:
            extra = self.connect(running)
        except smtpclient.Closed:
            self.fail("closed without 421")
        self.assert_reply(extra.greeting, 421)
        self.assert_closes(extra, 5)
        held[0].quit()

        def let_in():
            with smtpclient.Client(running.port) as client:
                return client.greeting.code == 220

        case.util.wait_until(let_in, 5, "a free place after one client left")

    def test_other_clients_errors_are_not_charged(self):
        """Postfix counts refusals per connection, across its clients."""
        running = self.start_proxy(
            "strict",
            workers=1,
            backend_max_connections=1,
            backend_warm_spares=0,
            hard_error_limit=1000,
        )
        bad = self.tls_session(running, "bad.test")
        for _ in range(4):
            self.assert_reply(bad.command("MAIL FROM:<a@sender.test>"), 250)
            for _ in range(4):
                self.assertEqual(
                    bad.command("RCPT TO:<refused@recipient.test>").code, 550
                )
            self.assert_reply(bad.command("RSET"), 250)
        good = self.tls_session(running, "good.test")
        started = time.monotonic()
        self.assert_delivers(good)
        self.assertLess(time.monotonic() - started, 2)


class PoolTest(case.PostfixCase):
    def one_slot(self, listener="reuse", **changes):
        settings = {
            "workers": 1,
            "backend_max_connections": 1,
            "backend_warm_spares": 0,
        }
        settings.update(changes)
        return self.start_proxy(listener, **settings)

    def test_nothing_is_leased_before_mail(self):
        """Clients that only look around cost the backend nothing."""
        running = self.one_slot()
        clients = [self.tls_session(running) for _ in range(20)]
        for client in clients:
            self.assert_reply(client.command("NOOP"), 250)
        self.assert_delivers(clients[7])

    def test_full_pool(self):
        running = self.one_slot(pool_wait_timeout="1s")
        holder = self.tls_session(running, "holder.test")
        holder.envelope("holder@sender.test", ["b@recipient.test"])
        waiter = self.tls_session(running, "waiter.test")
        started = time.monotonic()
        reply = waiter.command("MAIL FROM:<waiter@sender.test>")
        self.assert_reply(reply, 451, r"4\.3\.2")
        self.assertGreater(time.monotonic() - started, 0.8)
        self.assertLess(time.monotonic() - started, 5)
        self.assert_reply(holder.data(b"Subject: x\r\n\r\ny\r\n"), 250)
        self.assert_delivers(waiter, "waiter@sender.test")

    def test_waiting_clients_are_served_in_turn(self):
        running = self.one_slot(pool_wait_timeout="30s")
        holder = self.tls_session(running, "holder.test")
        holder.envelope("holder@sender.test", ["b@recipient.test"])
        waiters = []
        for number in range(5):
            client = self.tls_session(running, "waiter%d.test" % number)
            client.send(b"MAIL FROM:<w%d@sender.test>\r\n" % number)
            waiters.append(client)
            time.sleep(0.05)
        self.assertTrue(waiters[0].quiet(0.3))
        self.assert_reply(holder.command("RSET"), 250)
        for number, client in enumerate(waiters):
            self.assert_reply(client.reply(), 250)
            for later in waiters[number + 1 :]:
                self.assertTrue(later.quiet(0.02))
            self.assert_reply(
                client.command("RCPT TO:<b@recipient.test>"), 250
            )
            self.assert_reply(client.data(b"Subject: x\r\n\r\ny\r\n"), 250)
        self.assertEqual(
            sorted(
                (message.sender, message.helo)
                for message in self.postfix.messages()
            ),
            [
                ("w%d@sender.test" % number, "waiter%d.test" % number)
                for number in range(5)
            ],
        )

    def test_client_that_leaves_while_it_waits(self):
        running = self.one_slot(pool_wait_timeout="30s")
        holder = self.tls_session(running, "holder.test")
        holder.envelope("holder@sender.test", ["b@recipient.test"])
        leaver = self.tls_session(running, "leaver.test")
        leaver.send(b"MAIL FROM:<leaver@sender.test>\r\n")
        time.sleep(0.1)
        leaver.close()
        waiter = self.tls_session(running, "waiter.test")
        waiter.send(b"MAIL FROM:<waiter@sender.test>\r\n")
        time.sleep(0.1)
        holder.quit()
        self.assert_reply(waiter.reply(), 250)
        self.assert_reply(waiter.command("RCPT TO:<b@recipient.test>"), 250)
        self.assert_reply(waiter.data(b"Subject: x\r\n\r\ny\r\n"), 250)
        self.assertEqual(self.only_message().helo, "waiter.test")

    def test_abandoned_transaction_leaves_nothing_behind(self):
        """RSET, EHLO, QUIT or a lost client: the next one starts afresh."""
        for ending in (b"RSET\r\n", b"EHLO again.test\r\n", b"QUIT\r\n", None):
            with self.subTest(ending):
                self.postfix.clear()
                running = self.one_slot()
                first = self.tls_session(running, "first.test")
                first.envelope("first@sender.test", ["first@recipient.test"])
                if ending is None:
                    first.close()
                else:
                    first.send(ending)
                    first.reply()
                second = self.tls_session(
                    running, "second.test", source="127.0.4.2"
                )
                self.assert_delivers(second, "second@sender.test")
                message = self.only_message()
                self.assertEqual(message.recipients, ["again@recipient.test"])
                self.assertEqual(message.client, "unknown[127.0.4.2]")
                self.assertEqual(message.helo, "second.test")

    def test_identity_is_required_but_not_offered(self):
        running = self.one_slot("plain", backend_identity="xclient")
        client = self.tls_session(running)
        reply = client.command("MAIL FROM:<a@sender.test>")
        self.assertEqual(reply.code // 100, 4, reply.text)
        running.wait_for_log(r"XCLIENT")
        self.assertEqual(self.postfix.messages(), [])

    def test_identity_is_required_and_given(self):
        for listener in ("reuse", "single"):
            with self.subTest(listener):
                self.postfix.clear()
                running = self.one_slot(listener, backend_identity="xclient")
                for number in (1, 2, 3):
                    client = self.tls_session(
                        running,
                        "c%d.test" % number,
                        source="127.0.5.%d" % number,
                    )
                    self.assert_delivers(client, "s%d@sender.test" % number)
                    client.quit()
                self.assertEqual(
                    sorted(
                        (message.sender, message.client, message.helo)
                        for message in self.postfix.messages()
                    ),
                    [
                        (
                            "s%d@sender.test" % number,
                            "unknown[127.0.5.%d]" % number,
                            "c%d.test" % number,
                        )
                        for number in (1, 2, 3)
                    ],
                )

    def two_addresses(self, listener):
        """A proxy on 127.0.0.1 and ::1."""
        port = case.util.free_port()
        try:
            with socket.socket(socket.AF_INET6) as probe:
                probe.bind(("::1", port))
        except OSError as error:
            self.skipTest(
                "this machine has no IPv6 loopback address: %s" % error
            )
        return self.one_slot(
            listener,
            port=port,
            listen=["127.0.0.1:%d" % port, "[::1]:%d" % port],
        )

    def test_ipv6_client(self):
        client = self.tls_session(self.two_addresses("plain"), source="::1")
        self.assert_delivers(client)
        self.assertIn(
            "from client.test (unknown [IPv6:::1])",
            self.only_message().received(1),
        )

    def test_ipv6_client_and_a_backend_without_ipv6(self):
        """Its XCLIENT is refused: rather no mail than a wrong identity."""
        running = self.two_addresses("reuse")
        client = self.tls_session(running, source="::1")
        reply = client.command("MAIL FROM:<six@sender.test>")
        self.assertEqual(reply.code // 100, 4, reply.text)
        running.wait_for_log(r"(?i)(identity|XCLIENT).* ::1[: ]")
        # A connection that was told half of an identity is not used again.
        self.assert_delivers(self.tls_session(running), "four@sender.test")
        message = self.only_message()
        self.assertEqual(
            (message.sender, message.client),
            ("four@sender.test", "unknown[127.0.0.1]"),
        )

    def test_second_transaction_of_a_client_needs_no_xclient(self):
        running = self.one_slot()
        client = self.tls_session(running)
        for number in range(3):
            self.assert_delivers(client, "s%d@sender.test" % number)
        client.quit()
        running.stop()

        def summary():
            lines = [
                line
                for line in self.postfix_log().splitlines()
                if "disconnect from" in line and "mail=3" in line
            ]
            return lines[0] if lines else None

        line = case.util.wait_until(
            summary, 5, "Postfix's summary of the connection"
        )
        self.assertRegex(line, r"xclient=(1|0/1) ")
