"""Handshakes have bounds: how many, how long, how large."""

import time

import smtpclient
import tlscase
import util

_NOBODY = "192.0.2.0/24"  # no client of these tests


class HandshakeLimitTest(tlscase.TlsCase):
    def half_open(self, running, implicit=False, source="127.0.0.1"):
        """A client that owes us its ClientHello."""
        if implicit:
            client = smtpclient.Client(
                running.implicit_port, source=source, greet=False
            )
            self.clients.append(client)
            # A first octet, so that it is known to have begun.
            client.send_raw(b"\x16")
            time.sleep(0.02)
        else:
            client = self.plain_session(running, source=source)
            self.assert_reply(client.command("STARTTLS"), 220)
        return client

    def assert_turned_away(self, running, source="127.0.0.1"):
        client = self.plain_session(running, source=source)
        self.assert_reply(client.command("STARTTLS"), 454, r"4\.7\.0")
        # The session stays, and mail in plaintext is possible.
        self.assert_delivers(client)
        client.close()
        client = smtpclient.Client(
            running.implicit_port, source=source, greet=False
        )
        self.clients.append(client)
        started = time.monotonic()
        self.assertNotIn(b"220", self.assert_closes(client, 5))
        self.assertLess(time.monotonic() - started, 2)

    def assert_served(self, running, source="127.0.0.1"):
        def served():
            client = self.plain_session(running, source=source)
            code = client.command("STARTTLS").code
            if code == 220:
                client.handshake(self.certificates.trust())
                client.ehlo()
                client.quit()
            return code == 220

        util.wait_until(served, 5, "a place for a handshake")
        client = self.tls_client(running, implicit=True, source=source)
        self.assert_delivers(client)

    def test_in_total(self):
        running = self.start_proxy(tls_handshake_limit=3, workers=2)
        held = [
            self.half_open(running, implicit)
            for implicit in (False, True, False)
        ]
        self.assert_turned_away(running)
        self.assert_turned_away(running, "127.0.7.1")
        running.wait_for_log(r"too many TLS handshakes")
        for client in held:
            client.close()
        self.assert_served(running)

    def test_those_that_are_done_do_not_count(self):
        running = self.start_proxy(tls_handshake_limit=2)
        clients = [
            self.tls_client(running, implicit=bool(number % 2))
            for number in range(8)
        ]
        for client in clients:
            self.assert_reply(client.command("NOOP"), 250)

    def test_those_that_failed_do_not_count(self):
        running = self.start_proxy(
            tls_handshake_limit=2, tls_handshake_timeout="300ms"
        )
        for implicit in (False, True):
            for ending in ("garbage", "left", "too late"):
                client = self.half_open(running, implicit)
                if ending == "garbage":
                    client.send_raw(b"garbage\r\n")
                if ending != "left":
                    self.assert_closes(client, 5)
                client.close()
        self.assert_served(running)

    def test_of_one_client(self):
        running = self.start_proxy(
            client_tls_handshake_limit=2,
            client_event_limit_exceptions=_NOBODY,
            workers=2,
        )
        held = [
            self.half_open(running, implicit) for implicit in (False, True)
        ]
        self.assert_turned_away(running)
        # Another address has places of its own.
        self.assert_served(running, "127.0.7.1")
        for client in held:
            client.close()
        self.assert_served(running)

    def test_loopback_is_an_exception_by_default(self):
        running = self.start_proxy(client_tls_handshake_limit=1)
        held = [self.half_open(running) for _ in range(3)]
        self.assert_served(running)
        for client in held:
            client.close()

    def test_no_exceptions(self):
        running = self.start_with_file(
            "client_event_limit_exceptions = []\n",
            client_tls_handshake_limit=1,
        )
        held = self.half_open(running)
        self.assert_turned_away(running)
        held.close()
        self.assert_served(running)

    def test_a_flood_of_half_open_handshakes(self):
        """Everybody beyond is answered, and nobody's session is lost."""
        running = self.start_proxy(tls_handshake_limit=20)
        settled = self.tls_client(running)
        held, refused = [], 0
        for number in range(60):
            client = self.plain_session(
                running, source="127.0.6.%d" % (number + 1)
            )
            code = client.command("STARTTLS").code
            self.assertIn(code, (220, 454))
            refused += code == 454
            held.append(client)
        self.assertEqual(refused, 40)
        self.assert_delivers(settled)
        for client in held:
            client.close()
        self.assert_served(running)


class ClientHelloTest(tlscase.TlsCase):
    def setUp(self):
        super().setUp()
        self.running = self.start_proxy(
            workers=1, tls_handshake_timeout="700ms"
        )

    def begin(self, implicit):
        client = smtpclient.Client(
            self.running.implicit_port if implicit else self.running.port,
            greet=not implicit,
        )
        self.clients.append(client)
        if not implicit:
            client.ehlo()
            self.assert_reply(client.command("STARTTLS"), 220)
        return client

    def assert_ends(self, data, within, chunk=None, pause=0):
        """Who sends that instead of a ClientHello is closed in time; the
        worker goes on."""
        for implicit in (False, True):
            with self.subTest(data[:20], implicit=implicit):
                client = self.begin(implicit)
                started = time.monotonic()
                step = chunk or max(len(data), 1)
                try:
                    for at in range(0, len(data), step):
                        client.send_raw(data[at : at + step])
                        time.sleep(pause)
                except OSError:
                    pass
                self.assertNotIn(b"250", self.assert_closes(client, 5))
                self.assertLess(time.monotonic() - started, within)
                self.assert_delivers(self.tls_client(self.running))

    def test_garbage(self):
        for data in (
            b"\x00" * 100,
            b"\xff" * 5000,
            b"\x16\x03\x01\x00\x05hello",
            b"\x16\x03\x01\xff\xff" + b"x" * 1000,
            b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + b"x" * 37,
            b"\x15\x03\x01\x00\x02\x02\x28",
            b"GET / HTTP/1.1\r\nHost: mx.test\r\n\r\n",
        ):
            self.assert_ends(data, 1.5)

    def test_silence(self):
        self.assert_ends(b"", 2)

    def test_silence_after_a_part(self):
        hello = smtpclient.client_hello(self.certificates.trust())
        for octets in (1, 5, 6, len(hello) - 1):
            self.assert_ends(hello[:octets], 2)

    def test_one_octet_now_and_then(self):
        """One deadline for the whole handshake, not for each octet."""
        hello = smtpclient.client_hello(self.certificates.trust())
        self.assert_ends(hello[:60], 2, chunk=1, pause=0.05)

    def test_client_hello_beyond_the_limit(self):
        """A message of 200 KiB, in as many records as that takes."""
        size = 200 * 1024
        message = b"\x01" + size.to_bytes(3, "big") + b"\x03\x03" + b"x" * size
        records = b"".join(
            b"\x16\x03\x01\x40\x00" + message[at : at + 0x4000]
            for at in range(0, 12 * 0x4000, 0x4000)
        )
        self.assert_ends(records, 1.5)

    def test_endless_empty_records(self):
        self.assert_ends(b"\x16\x03\x01\x00\x00" * 20000, 2)

    def test_client_hello_in_many_records(self):
        """Legal, and as small as it gets: an octet per record."""
        hello = smtpclient.client_hello(self.certificates.trust())
        body = hello[5:]
        records = b"".join(
            b"\x16\x03\x01\x00\x01" + body[at : at + 1]
            for at in range(len(body))
        )
        client = self.begin(implicit=True)
        client.send_raw(records)
        client.socket.settimeout(5)
        try:
            answer = client.socket.recv(5)
        except ConnectionResetError:
            answer = b""
        # A ServerHello, or the bound on records: nothing that hangs.
        self.assertIn(answer[:1], (b"\x16", b"\x15", b""))
        client.close()
        self.assert_delivers(self.tls_client(self.running))
