"""A backend that misbehaves around STARTTLS, and writes down what it hears.

Each connection is a thread. It says 250 to everything, so that a proxy that
goes on where it must not is found out by `heard`: (inside TLS?, line) of each
command and of each line of a message.
"""

import contextlib
import socket
import ssl
import threading


class FakeBackend:
    """Listens on 127.0.0.1:port until close().

    offers are the EHLO keywords before TLS, offers_inside those after it;
    starttls is the reply to STARTTLS and whatever shall share its segment;
    context does the handshake, and without one the connection is closed there;
    with hang it stays open and silent.
    """

    def __init__(
        self,
        context=None,
        offers=("STARTTLS",),
        offers_inside=(),
        starttls=b"220 2.0.0 Ready\r\n",
        hang=False,
    ):
        self._context = context
        self._offers = (tuple(offers), tuple(offers_inside))
        self._starttls = starttls
        self._hang = hang
        self._lock = threading.Lock()
        self._heard = []
        self._sockets = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def address(self):
        return "127.0.0.1:%d" % self.port

    @property
    def heard(self):
        with self._lock:
            return list(self._heard)

    def verbs(self, inside):
        """The commands heard in plaintext or inside TLS."""
        return [
            line.split(b" ")[0].upper().decode("latin-1")
            for tls, line in self.heard
            if tls == inside
        ]

    def offer(self, *keywords):
        """What EHLO offers before TLS from now on."""
        self._offers = (keywords, self._offers[1])

    def drop_all(self):
        """Closes every connection."""
        with self._lock:
            for each in self._sockets:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def close(self):
        # shutdown() wakes the accept() that close() alone would leave waiting.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        with self._lock:
            for each in self._sockets:
                each.close()

    def _accept(self):
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._sockets.append(peer)
            threading.Thread(
                target=self._serve, args=(peer,), daemon=True
            ).start()

    def _serve(self, peer):
        peer.settimeout(30)
        try:
            self._talk(peer)
        except OSError:  # ssl.SSLError is one
            pass
        finally:
            peer.close()

    def _talk(self, peer):
        inside = False
        peer.sendall(b"220 fake.test ESMTP\r\n")
        lines = _Lines(peer)
        while True:
            line = lines.next()
            if line is None:
                return
            with self._lock:
                self._heard.append((inside, line))
            verb = line.split(b" ")[0].upper()
            if verb == b"EHLO":
                names = ("fake.test",) + self._offers[inside]
                peer.sendall(
                    b"".join(
                        b"250%s%s\r\n"
                        % (
                            b" " if name == names[-1] else b"-",
                            name.encode(),
                        )
                        for name in names
                    )
                )
            elif verb == b"STARTTLS" and not inside:
                peer.sendall(self._starttls)
                if not self._starttls.startswith(b"220"):
                    continue
                if self._hang:
                    while peer.recv(65536):
                        pass
                if self._context is None or self._hang:
                    return
                peer = self._context.wrap_socket(peer, server_side=True)
                with self._lock:
                    self._sockets.append(peer)
                lines, inside = _Lines(peer), True
            elif verb == b"DATA":
                peer.sendall(b"354 Go on\r\n")
                while line not in (b".", None):
                    line = lines.next()
                    with self._lock:
                        self._heard.append((inside, line or b""))
                peer.sendall(b"250 2.0.0 Taken\r\n")
            elif verb == b"QUIT":
                peer.sendall(b"221 2.0.0 Bye\r\n")
                return
            else:
                peer.sendall(b"250 2.0.0 Ok\r\n")


class _Lines:
    """Lines of a socket, without their ends; None at the end."""

    def __init__(self, peer):
        self._peer = peer
        self._unread = b""

    def next(self):
        while b"\n" not in self._unread:
            data = self._peer.recv(65536)
            if not data:
                return None
            self._unread += data
        line, self._unread = self._unread.split(b"\n", 1)
        return line.rstrip(b"\r")


def server_context(certificates, name):
    """A server's ssl context with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(
        certificates.path(name + ".chain.pem"),
        certificates.path(name + ".key"),
    )
    return context
