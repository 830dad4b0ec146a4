"""PROXY headers of a load balancer, believed from trusted networks only."""

import socket
import struct
import time

import smtpclient
import tlscase

_BALANCER = "127.0.9.1"
_NETWORK = "127.0.9.0/24"
_CLIENT = "192.0.2.77"
_V2 = b"\r\n\r\n\0\r\nQUIT\n"


def v1(client=_CLIENT, port=40077):
    kind = "TCP6" if ":" in client else "TCP4"
    server = "2001:db8::1" if ":" in client else "203.0.113.1"
    line = "PROXY %s %s %s %d 25\r\n" % (kind, client, server, port)
    return line.encode()


def v2(client=_CLIENT, port=40077):
    block = (
        socket.inet_aton(client)
        + socket.inet_aton("203.0.113.1")
        + struct.pack(">HH", port, 25)
    )
    return _V2 + b"\x21\x11" + struct.pack(">H", len(block)) + block


LOCAL = _V2 + b"\x20\x00\x00\x00"


class ProxyProtocolTest(tlscase.TlsCase):
    def start_proxy(self, **changes):
        return super().start_proxy(
            upstream_proxy_protocol="haproxy",
            haproxy_networks=_NETWORK,
            **changes
        )

    def through(self, running, header, implicit=False):
        """A connection of the balancer that has begun with that."""
        client = smtpclient.Client(
            running.implicit_port if implicit else running.port,
            source=_BALANCER,
            greet=False,
        )
        self.clients.append(client)
        client.send_raw(header)
        return client

    def assert_arrives_from(self, client, address):
        """A mail of that client is that address' in our header."""
        self.postfix.clear()
        client.ehlo("behind.test")
        client.deliver("a@sender.test", ["b@recipient.test"], tlscase.BODY)
        self.assertIn("[%s]" % address, self.only_message().received(1))

    def test_log_header_and_backend_see_the_client(self):
        running = self.start_proxy()
        for number, header in enumerate((v1(), v2())):
            with self.subTest(number):
                client = self.through(running, header)
                self.assert_reply(client.reply(), 220)
                self.assert_arrives_from(client, _CLIENT)
                self.assertIn("[%s]" % _CLIENT, self.postfix_log())
                client.quit()
        running.wait_for_log(r"connect from unknown\[192\.0\.2\.77\]")
        self.assertNotIn(_BALANCER, running.log())

    def test_before_starttls_and_before_implicit_tls(self):
        running = self.start_proxy()
        context = self.certificates.trust()
        client = self.through(running, v2())
        self.assert_reply(client.reply(), 220)
        client.ehlo("behind.test")
        client.starttls(context)
        self.assert_arrives_from(client, _CLIENT)
        client = self.through(running, v1(), implicit=True)
        client.handshake(context)
        self.assert_reply(client.reply(), 220)
        self.assert_arrives_from(client, _CLIENT)
        running.wait_for_log(
            r"TLS connection established from unknown\[192\.0\.2\.77\]"
        )

    def test_with_the_client_hello_in_one_segment(self):
        running = self.start_proxy()
        hello = smtpclient.client_hello(self.certificates.trust())
        client = self.through(running, v2() + hello, implicit=True)
        # A handshake message: the header was not taken for TLS.
        self.assertEqual(client.socket.recv(2), b"\x16\x03")

    def test_in_pieces(self):
        running = self.start_proxy()
        header = v2()
        client = self.through(running, header[:5])
        for octet in header[5:]:
            time.sleep(0.002)
            client.send_raw(bytes([octet]))
        self.assert_reply(client.reply(), 220)
        client.quit()

    def test_E009_no_header_no_banner(self):
        running = self.start_proxy(upstream_proxy_timeout="500ms")
        for header in (b"", v1()[:-1], v2()[:-1]):
            with self.subTest(header):
                client = self.through(running, header)
                started = time.monotonic()
                self.assertEqual(self.assert_closes(client, 5), b"")
                self.assertGreater(time.monotonic() - started, 0.4)
        running.wait_for_log(
            r"PROXY protocol: no header within 500ms from "
            r"unknown\[127\.0\.9\.1\], closed"
        )

    def test_E009_something_else_is_closed_at_once(self):
        running = self.start_proxy()
        client = self.through(running, b"EHLO client.test\r\n")
        started = time.monotonic()
        self.assertEqual(self.assert_closes(client, 5), b"")
        self.assertLess(time.monotonic() - started, 2)
        running.wait_for_log(r"PROXY protocol: something else than a header")

    def test_E010_from_elsewhere_it_is_a_bad_command(self):
        running = self.start_proxy()
        client = self.connect(running)
        self.assert_reply(client.command(v1()[:-2]), 502, r"5\.5\.1")
        self.assert_arrives_from(client, "127.0.0.1")
        client.quit()
        running.wait_for_log(r"disconnect from .* unknown=0/1 ")
        self.assertNotIn(_CLIENT, running.log())

    def test_E011_local_is_the_balancer_itself(self):
        running = self.start_proxy()
        client = self.through(running, LOCAL)
        self.assert_reply(client.reply(), 220)
        self.assert_arrives_from(client, _BALANCER)
        client.quit()

    def test_without_networks_it_does_not_start(self):
        self.assert_refuses_to_start(
            "upstream_proxy_protocol",
            "haproxy_networks",
            upstream_proxy_protocol="haproxy",
        )
