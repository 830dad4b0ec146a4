"""A DNS server on loopback that knows what a test tells it.

Answers PTR, A and AAAA over UDP. A name or address that it does not know is
NXDOMAIN; what maps to None is not answered at all.
"""

import ipaddress
import socket
import struct
import threading

_PTR, _A, _AAAA = 12, 1, 28
_NXDOMAIN = 3


def _encode(name):
    labels = name.rstrip(".").split(".")
    return b"".join(
        bytes([len(label)]) + label.encode("latin-1") for label in labels
    ) + b"\0"


def _question(packet):
    """(name, type, the question's bytes) of a query with one question."""
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1 : at + 1 + packet[at]].decode("latin-1"))
        at += 1 + packet[at]
    kind = struct.unpack(">H", packet[at + 1 : at + 3])[0]
    return ".".join(labels).lower(), kind, packet[12 : at + 5]


class DnsServer:
    """reverse maps addresses to names, forward names to addresses."""

    def __init__(self, reverse, forward, ttl=300):
        self._reverse = {
            ipaddress.ip_address(address).reverse_pointer: name
            for address, name in reverse.items()
        }
        self._forward = {
            name.lower(): addresses for name, addresses in forward.items()
        }
        self._ttl = ttl
        self.questions = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self):
        self._socket.close()

    def _serve(self):
        while True:
            try:
                packet, peer = self._socket.recvfrom(4096)
                answer = self._answer(packet)
                if answer is not None:
                    self._socket.sendto(answer, peer)
            except OSError:
                return

    def _records(self, name, kind):
        """The data of the records; None for silence, False for NXDOMAIN."""
        if kind == _PTR:
            if name not in self._reverse:
                return False
            target = self._reverse[name]
            return None if target is None else [_encode(target)]
        if name not in self._forward:
            return False
        if self._forward[name] is None:
            return None
        wanted = 4 if kind == _A else 6
        addresses = map(ipaddress.ip_address, self._forward[name])
        return [each.packed for each in addresses if each.version == wanted]

    def _answer(self, packet):
        name, kind, question = _question(packet)
        self.questions.append((name, kind))
        records = self._records(name, kind)
        if records is None:
            return None
        code = _NXDOMAIN if records is False else 0
        records = records or []
        head = packet[:2] + struct.pack(
            ">HHHHH", 0x8580 | code, 1, len(records), 0, 0
        )
        body = b"".join(
            b"\xc0\x0c"
            + struct.pack(">HHIH", kind, 1, self._ttl, len(data))
            + data
            for data in records
        )
        return head + question + body
