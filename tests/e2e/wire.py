"""A wire between tlspost and a real backend, cut where a test says.

Commands are counted as they pass, so that each step of a transaction can be
the one at which the backend is lost, before it heard the command or after:
then it has answered, and nobody hears the answer.
"""

import contextlib
import socket
import struct
import threading

STEPS = ("connect", "EHLO", "XCLIENT", "MAIL", "RCPT", "DATA", "body", "end")


class Wire:
    """Listens on `port` and passes everything on to the backend's port.

    `plan` is what happens next, once: (step, lost, how), or None.
      step  one of STEPS; "end" is the message's last line
      lost  "command": the backend does not hear it; "reply": it does
      how   "close", "reset", "half" (it sends no more but still listens),
            "421" (and a close), or "stall" until release() lets all through
    """

    def __init__(self, port):
        self._backend = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.plan = None
        self.happened = threading.Event()
        self._released = threading.Event()
        self._lock = threading.Lock()
        self._sockets = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self):
        return "127.0.0.1:%d" % self.port

    def set_plan(self, *plan):
        self.happened.clear()
        self._released.clear()
        self.plan = plan

    def release(self):
        self._released.set()

    def drop_all(self):
        """Closes every connection."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.plan = None
        self._released.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop_all()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._backend))
            for each in (near, far):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._sockets += [near, far]
            connection = _Connection(self, near, far)
            for run in (connection.commands, connection.replies):
                threading.Thread(target=run, daemon=True).start()

    def take_plan(self, step, lost):
        """How, if this is where it happens."""
        with self._lock:
            if self.plan is None or self.plan[:2] != (step, lost):
                return None
            how, self.plan = self.plan[2], None
            return how

    def wait(self):
        self.happened.set()
        self._released.wait(60)


class _Connection:
    """near is tlspost's end, far the backend's."""

    def __init__(self, wire, near, far):
        self._wire = wire
        self._near = near
        self._far = far
        self._ended = threading.Event()
        self._step = "connect"
        self._in_message = False
        self._tail = b""

    def commands(self):
        with contextlib.suppress(OSError), self._near, self._far:
            if self._cut("connect", "command"):
                return
            while True:
                data = self._near.recv(65536)
                if not data:
                    break
                if self._in_message and not self._tail:
                    if self._cut("body", "command"):
                        return
                    half = len(data) // 2
                    self._far.sendall(data[:half])
                    if self._cut("body", "reply"):
                        return
                    self._tail, data = data[:half][-5:], data[half:]
                self._step = self._step_of(data)
                if self._cut(self._step, "command"):
                    return
                self._far.sendall(data)
            self._far.shutdown(socket.SHUT_WR)
            self._ended.wait(60)

    def replies(self):
        try:
            with contextlib.suppress(OSError):
                self._pass_replies()
        finally:
            self._ended.set()

    def _pass_replies(self):
        while True:
            data = self._far.recv(65536)
            if not data:
                break
            if self._step == "DATA" and data.startswith(b"354"):
                self._in_message, self._tail = True, b""
            if self._cut(self._step, "reply"):
                return
            self._near.sendall(data)
        self._near.shutdown(socket.SHUT_WR)

    def _step_of(self, data):
        if not self._in_message:
            return data.split(None, 1)[0].decode("latin-1").upper()
        self._tail = (self._tail + data)[-5:]
        if self._tail != b"\r\n.\r\n":
            return "body"
        self._in_message = False
        return "end"

    def _cut(self, step, lost):
        """Whether this is the end of the connection, as far as we go."""
        how = self._wire.take_plan(step, lost)
        if how is None:
            return False
        if how == "stall":
            self._wire.wait()
            return False
        if how == "421":
            self._near.sendall(b"421 4.3.2 Closing, if you please\r\n")
        if how == "reset":
            # At the close, which comes when nobody reads from it any more.
            self._near.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
        self._near.shutdown(
            {"reset": socket.SHUT_RD, "half": socket.SHUT_WR}.get(
                how, socket.SHUT_RDWR
            )
        )
        # What has reached the backend is judged as usual; no more does.
        self._far.shutdown(socket.SHUT_WR)
        self._wire.happened.set()
        if how == "half":
            while self._near.recv(65536):
                pass
        return True
