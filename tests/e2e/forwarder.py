"""Passes connections on to another port, as a load balancer or a firewall does.

It looks at nothing and says nothing.
"""

import contextlib
import socket
import threading


class Forwarder:
    """Listens on 127.0.0.1:port until close(); target is a port to be set.

    While nobody listens at the target connections are closed at once.
    """

    def __init__(self):
        self.target = 0
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def address(self):
        return "127.0.0.1:%d" % self.port

    def close(self):
        # shutdown() wakes the accept() that close() alone would leave waiting.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _accept(self):
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                other = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                peer.close()
                continue
            for ends in ((peer, other), (other, peer)):
                threading.Thread(
                    target=self._pass_on, args=ends, daemon=True
                ).start()

    @staticmethod
    def _pass_on(source, destination):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                destination.sendall(data)
        with contextlib.suppress(OSError):
            destination.shutdown(socket.SHUT_WR)
