"""What one client may do over all its connections, and hostile clients.

The loopback network is among the exceptions by default; here it is not.
"""

import socket
import time

import case
import smtpclient

NOBODY = "192.0.2.0/24"


class ClientLimitCase(case.PostfixCase):
    def start(self, **changes):
        changes.setdefault("client_event_limit_exceptions", NOBODY)
        return self.start_proxy(**changes)

    def turned_away(self, running, source="127.0.0.1"):
        """The greeting, which must be a 421 before a close."""
        client = self.connect(running, source=source)
        self.assert_reply(client.greeting, 421, None)
        self.assert_closes(client, 5)
        return client.greeting.text


class ClientLimitTest(ClientLimitCase):
    def test_E114_connections_of_one_client_over_all_workers(self):
        running = self.start(
            client_connection_count_limit=4, workers=2, stress_percent=0
        )
        held = [self.connect(running) for _ in range(4)]
        self.assertEqual(
            self.turned_away(running),
            "421 4.7.0 mx.test Error: too many connections from 127.0.0.1",
        )
        running.wait_for_log(
            r"warning: Connection concurrency limit exceeded: 5 from "
            r"unknown\[127\.0\.0\.1\] for service smtp"
        )
        # Another client is not concerned; nor is this one once it has left.
        self.assert_delivers(self.tls_session(running, source="127.0.7.2"))
        held[0].quit()

        def let_in():
            with smtpclient.Client(running.port) as client:
                return client.greeting.code == 220

        case.util.wait_until(let_in, 5, "a place after one connection ended")

    def test_E114_a_flood_leaves_room_for_others(self):
        running = self.start(max_connections=300, workers=2)
        flood = []
        for _ in range(400):
            peer = socket.create_connection(
                ("127.0.0.1", running.port), source_address=("127.0.8.1", 0)
            )
            self.addCleanup(peer.close)
            flood.append(peer)
        started = time.monotonic()
        self.assert_delivers(self.tls_session(running, source="127.0.8.2"))
        self.assertLess(time.monotonic() - started, 5)
        greeted = 0
        for peer in flood:
            peer.settimeout(5)
            try:
                greeted += peer.recv(4) == b"220 "
            except ConnectionResetError:
                pass
        self.assertEqual(greeted, 50)

    def test_exceptions(self):
        running = self.start_proxy(
            client_connection_count_limit=1, client_message_rate_limit=1
        )
        for _ in range(3):
            self.assert_delivers(self.tls_session(running))

    def test_connection_rate(self):
        running = self.start(client_connection_rate_limit=3, workers=2)
        # The harness has connected once to see whether we run.
        for _ in range(2):
            self.plain_session(running).quit()
        self.assertIn("too many connections from", self.turned_away(running))
        running.wait_for_log(
            r"warning: Connection rate limit exceeded: 4 from "
            r"unknown\[127\.0\.0\.1\] for service smtp"
        )

    def test_message_and_recipient_rates(self):
        running = self.start(
            client_message_rate_limit=3,
            client_recipient_rate_limit=4,
            workers=2,
        )
        for number in range(2):
            client = self.tls_session(running)
            self.assert_delivers(client, "m%d@sender.test" % number)
        client = self.tls_session(running)
        client.envelope("m2@sender.test", ["a@recipient.test"] * 2)
        reply = client.command("RCPT TO:<b@recipient.test>")
        self.assertEqual(
            reply.text, "450 4.7.1 Error: too many recipients from 127.0.0.1"
        )
        self.assert_reply(client.data(b"Subject: x\r\n\r\ny\r\n"), 250)
        reply = client.command("MAIL FROM:<m3@sender.test>")
        self.assertEqual(
            reply.text, "450 4.7.1 Error: too much mail from 127.0.0.1"
        )
        self.assert_delivers(self.tls_session(running, source="127.0.7.3"))
        running.wait_for_log(
            r"warning: Message delivery request rate limit exceeded: 4 from "
            r"unknown\[127\.0\.0\.1\] for service smtp"
        )
        running.wait_for_log(
            r"warning: Recipient address rate limit exceeded: 5 from "
        )

    def test_E115_new_tls_sessions(self):
        running = self.start(client_new_tls_session_rate_limit=2, workers=2)
        for _ in range(2):
            self.tls_session(running)
        client = self.plain_session(running)
        reply = client.command("STARTTLS")
        self.assertEqual(
            reply.text,
            "454 4.7.0 Error: too many new TLS sessions from "
            "unknown[127.0.0.1]",
        )
        self.assert_reply(client.command("NOOP"), 250)
        self.assert_delivers(self.tls_session(running, source="127.0.7.4"))

    def test_E116_a_harvester_does_not_reach_the_backend(self):
        running = self.start(
            listener="strict",
            client_error_rate_limit=12,
            soft_error_limit=100,
            anvil_rate_time_unit="20s",
        )
        asked = 0
        for _ in range(4):
            client = self.connect(running)
            if client.greeting.code == 421:
                break
            client.ehlo()
            client.command("MAIL FROM:<a@sender.test>")
            for _ in range(18):
                reply = client.command("RCPT TO:<refused@recipient.test>")
                if reply.code == 421:
                    break
                self.assert_reply(reply, 550)
                asked += 1
        self.assertEqual(asked, 13)
        self.assertIn("too many errors", self.turned_away(running))
        refused = self.postfix_log().count("reject: RCPT")
        self.assertLessEqual(refused, 13)
        running.wait_for_log(
            r"warning: Error rate limit exceeded: 13 from "
            r"unknown\[127\.0\.0\.1\] for service smtp"
        )
        time.sleep(20.1)
        self.assert_delivers(self.tls_session(running))


class HostileClientTest(ClientLimitCase):
    def test_E063_errors_are_answered_late(self):
        running = self.start(
            soft_error_limit=3, error_sleep_time="400ms", hard_error_limit=6
        )
        client = self.plain_session(running)
        other = self.tls_session(running)
        taken = []
        for _ in range(6):
            started = time.monotonic()
            self.assert_reply(client.command("BOGUS"), 500)
            taken.append(time.monotonic() - started)
        self.assertLess(max(taken[:2]), 0.3)
        self.assertGreater(min(taken[2:]), 0.35)
        self.assert_reply(client.reply(), 421)
        client = self.plain_session(running)
        client.send(b"BOGUS\r\n" * 5)
        started = time.monotonic()
        self.assert_delivers(other)
        self.assertLess(time.monotonic() - started, 0.35)

    def test_E063_a_drain_does_not_wait_for_a_delay(self):
        running = self.start(soft_error_limit=1, error_sleep_time="60s")
        client = self.plain_session(running)
        client.send(b"BOGUS\r\n")
        time.sleep(0.3)
        started = time.monotonic()
        running.terminate()
        self.assertIn(b"421 4.3.2", self.assert_closes(client, 5))
        client.close()
        self.assertEqual(running.wait(10), 0)
        self.assertLess(time.monotonic() - started, 6)

    def test_E087_a_client_that_reads_nothing(self):
        running = self.start(
            command_timeout="1s", junk_command_limit=1000000, workers=1
        )
        client = self.connect(running, receive_buffer=4096)
        client.socket.settimeout(1)
        sent = 0
        try:
            while sent < 200 << 20:
                sent += client.socket.send(b"NOOP\r\n" * 1000)
        except OSError:
            pass
        # Far more than that would be in memory if replies piled up.
        self.assertLess(sent, 100 << 20)
        running.wait_for_log(r"timeout after NOOP from unknown\[127\.0\.0\.1\]")
        self.assert_delivers(self.tls_session(running))

    def test_E113_a_message_that_drips(self):
        running = self.start(data_timeout="2s", workers=1)
        client = self.tls_session(running)
        client.envelope("slow@sender.test", ["b@recipient.test"])
        self.assert_reply(client.command("DATA"), 354)
        started = time.monotonic()
        try:
            while time.monotonic() - started < 15:
                client.send(b"x")
                time.sleep(0.2)
        except OSError:
            pass
        self.assertLess(time.monotonic() - started, 8)
        running.wait_for_log(r"timeout after DATA from unknown\[127\.0\.0\.1\]")
        self.assertEqual(self.postfix.messages(), [])

    def test_E113_a_slow_but_steady_message_arrives(self):
        running = self.start(data_timeout="2s", workers=1)
        client = self.tls_session(running)
        client.envelope("steady@sender.test", ["b@recipient.test"])
        self.assert_reply(client.command("DATA"), 354)
        client.send(b"Subject: steady\r\n\r\n")
        for _ in range(20):
            client.send(b"x" * 198 + b"\r\n")
            time.sleep(0.25)
        client.send(b".\r\n")
        self.assert_reply(client.reply(), 250)

    def test_E088_too_many_hops(self):
        running = self.start(workers=1)
        client = self.tls_session(running)
        foreign = b"Received: from a by b; now\r\n"
        own = (
            b"Received: from a (b [192.0.2.1])\r\n"
            b"\tby mx.test (tlspost) with ESMTPS id 1;\r\n\tnow\r\n"
        )
        body = b"Subject: round\r\n\r\nand round\r\n"
        for content, words in (
            (foreign * 50 + body, "554 5.4.6 Error: too many hops"),
            (
                own * 10 + body,
                "554 5.4.6 Error: mail loops back to this host",
            ),
        ):
            client.envelope("hops@sender.test", ["b@recipient.test"])
            self.assertEqual(client.data(content).text, words)
        # Postfix adds two of its own, and has the same limit.
        client.envelope("near@sender.test", ["b@recipient.test"])
        reply = client.data(foreign * 38 + own * 9 + body)
        self.assert_reply(reply, 250)
        self.assertEqual(self.only_message().sender, "near@sender.test")


class OverloadTest(ClientLimitCase):
    def test_idle_clients_leave_early(self):
        running = self.start(
            max_connections=5,
            stress_percent=60,
            stress_command_timeout="1s",
            workers=1,
        )
        idle = [self.plain_session(running) for _ in range(3)]
        started = time.monotonic()
        for client in idle:
            self.assert_reply(client.reply(), 421, r"4\.4\.2")
        self.assertLess(time.monotonic() - started, 4)
        running.wait_for_log(
            r"warning: overload mode begins: 3 of 5 connections"
        )
        running.wait_for_log(r"overload mode ends: ")
        patient = self.plain_session(running)
        self.assertTrue(patient.quiet(1.5))
        self.assert_delivers(patient)
