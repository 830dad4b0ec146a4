"""An SMTP client that does exactly what a test says, byte for byte.

smtplib hides what these tests are about: which bytes share a segment, what
follows STARTTLS in plaintext, half-closed connections. TLS runs over memory
BIOs here, so that the test decides what goes to the socket and when.
"""

import socket
import ssl
import time


class Closed(Exception):
    """The server closed the connection where a reply was due."""


class Reply:
    """One SMTP reply; lines without their line ends."""

    def __init__(self, lines):
        self.lines = [
            line.decode("utf-8", "surrogateescape") for line in lines
        ]
        self.code = int(self.lines[-1][:3])

    @property
    def text(self):
        return "\n".join(self.lines)

    @property
    def enhanced(self):
        """The enhanced status code of the last line, '' without one."""
        word = self.lines[-1][4:].partition(" ")[0]
        return word if word.count(".") == 2 else ""

    def __repr__(self):
        return "Reply(%r)" % self.text


def dot_stuff(content):
    """What goes between 354 and the end for content with CRLF line ends."""
    assert content.endswith(b"\r\n")
    stuffed = content.replace(b"\r\n.", b"\r\n..")
    return b"." + stuffed if stuffed.startswith(b".") else stuffed


def client_hello(context):
    """The bytes of a ClientHello."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="mx.test")
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


class Client:
    """One connection; the greeting is read unless greet is False.

    It comes from source, and goes to the loopback address of that kind.
    """

    def __init__(
        self,
        port,
        source="127.0.0.1",
        timeout=30,
        greet=True,
        receive_buffer=None,
    ):
        family = socket.AF_INET6 if ":" in source else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self.socket.settimeout(timeout)
            if receive_buffer:
                self.socket.setsockopt(
                    socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer
                )
            self.socket.bind((source, 0))
            self.socket.connect(
                ("::1" if ":" in source else "127.0.0.1", port)
            )
        except OSError:
            self.socket.close()
            raise
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.source, self.source_port = self.socket.getsockname()[:2]
        self.extensions = {}
        self._unread = b""
        self._tls = self._incoming = self._outgoing = None
        self.greeting = None
        if greet:
            try:
                self.greeting = self.reply()
            except BaseException:
                self.socket.close()
                raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    # Bytes.

    def send(self, data, chunk=None):
        """Sends data, in pieces (TLS records, TCP segments) of chunk bytes."""
        step = chunk or max(len(data), 1)
        for start in range(0, len(data), step):
            piece = data[start : start + step]
            if self._tls is None:
                self.socket.sendall(piece)
            else:
                self._tls.write(piece)
                self._flush()

    def encrypt(self, data):
        """The TLS records for data: for send_raw(), once and in order."""
        self._tls.write(data)
        return self._outgoing.read()

    def send_raw(self, data):
        """Sends data beside TLS."""
        self.socket.sendall(data)

    def _flush(self):
        data = self._outgoing.read()
        if data:
            self.socket.sendall(data)

    def _receive(self):
        """More bytes from the server, b'' at the end."""
        if self._tls is None:
            return self.socket.recv(65536)
        while True:
            try:
                return self._tls.read(65536)
            except ssl.SSLWantReadError:
                self._feed()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    def _feed(self):
        self._flush()
        data = self.socket.recv(65536)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def read_line(self):
        while b"\n" not in self._unread:
            try:
                data = self._receive()
            except ConnectionResetError as error:
                raise Closed(
                    "connection reset, with %r unread" % self._unread
                ) from error
            if not data:
                raise Closed("end of stream, with %r unread" % self._unread)
            self._unread += data
        line, self._unread = self._unread.split(b"\n", 1)
        assert line.endswith(b"\r"), (
            "a reply line ends in a bare LF: %r" % line
        )
        return line[:-1]

    def reply(self):
        lines = []
        while True:
            line = self.read_line()
            assert line[:3].isdigit() and line[3:4] in (b" ", b"-", b""), line
            lines.append(line)
            if line[3:4] != b"-":
                return Reply(lines)

    def replies(self, count):
        return [self.reply() for _ in range(count)]

    def rest(self, timeout=10):
        """Everything until the server closes; TimeoutError if it does not."""
        self.socket.settimeout(timeout)
        data, self._unread = self._unread, b""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                more = self._receive()
            except (ConnectionResetError, ssl.SSLError):
                return data
            if not more:
                return data
            data += more
        raise TimeoutError("the server keeps sending")

    def quiet(self, seconds):
        """True when for that long the server neither sends nor closes."""
        if self._unread:
            return False
        self.socket.settimeout(seconds)
        try:
            more = self._receive()
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(30)
        self._unread += more
        return False

    # SMTP.

    def command(self, line):
        if isinstance(line, str):
            line = line.encode()
        self.send(line + b"\r\n")
        return self.reply()

    def ehlo(self, name="client.test"):
        """EHLO, which must succeed; keeps {KEYWORD: parameters}."""
        reply = self.command("EHLO " + name)
        assert reply.code == 250, reply
        self.extensions = {}
        for line in reply.lines[1:]:
            keyword, _, parameters = line[4:].partition(" ")
            self.extensions[keyword.upper()] = parameters
        return reply

    def starttls(self, context, server_name="mx.test", session=None):
        """STARTTLS, which must succeed, and the handshake."""
        reply = self.command("STARTTLS")
        assert reply.code == 220, reply
        self.handshake(context, server_name, session)

    def handshake(self, context, server_name="mx.test", session=None):
        assert not self._unread, "plaintext behind 220: %r" % self._unread
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_hostname=server_name,
            session=session,
        )
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._feed()
            except ssl.SSLError:
                self._flush()
                raise
            else:
                self._flush()
                return

    @property
    def tls(self):
        """The ssl.SSLObject: version(), cipher(), session, session_reused."""
        return self._tls

    def close_notify(self):
        """Ends the TLS stream in our direction only."""
        try:
            self._tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        self._flush()

    def envelope(self, sender, recipients, parameters=""):
        """MAIL and RCPTs, which must succeed."""
        for line in ["MAIL FROM:<%s>%s" % (sender, parameters)] + [
            "RCPT TO:<%s>" % recipient for recipient in recipients
        ]:
            reply = self.command(line)
            assert reply.code == 250, "%s: %r" % (line, reply)

    def data(self, content, chunk=None):
        """DATA with that content (CRLF line ends); the final reply."""
        reply = self.command("DATA")
        assert reply.code == 354, reply
        self.send(dot_stuff(content) + b".\r\n", chunk)
        return self.reply()

    def deliver(self, sender, recipients, content, parameters=""):
        """A whole transaction, which must succeed."""
        self.envelope(sender, recipients, parameters)
        reply = self.data(content)
        assert reply.code == 250, reply
        return reply

    def quit(self):
        reply = self.command("QUIT")
        assert reply.code == 221, reply
        self.close()
        return reply


def session(port, context=None, name="client.test", **how):
    """A client after EHLO, or with a context after STARTTLS and EHLO."""
    client = Client(port, **how)
    try:
        client.ehlo(name)
        if context is not None:
            client.starttls(context)
            client.ehlo(name)
    except BaseException:
        client.close()
        raise
    return client
