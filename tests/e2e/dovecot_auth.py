"""The server side of Dovecot's authentication protocol, version 1.

Postfix asks it whether a client's credentials are right
(smtpd_sasl_type = dovecot, smtpd_sasl_path = inet:127.0.0.1:PORT), so that the
tests need no password database and no Dovecot. It knows PLAIN, LOGIN and
CRAM-MD5, and X-STEPS: three challenges, each answered by "STEP USER PASSWORD".
"""

import base64
import hmac
import itertools
import socketserver
import threading

USERS = {
    "user@users.test": "open sesame",
    "second@users.test": "second-secret",
}
MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5", "X-STEPS")
_CHALLENGE = b"<1.2@backend.test>"


def _encode(octets):
    return base64.b64encode(octets).decode()


class _Failed(Exception):
    """The credentials are wrong."""


def _judge(user, password):
    if USERS.get(user) != password:
        raise _Failed
    return user


def _plain(response):
    if response is None:
        response = yield b""
    _, user, password = response.decode().split("\0")
    return _judge(user, password)


def _login(response):
    if response is None:
        response = yield b"Username:"
    password = yield b"Password:"
    return _judge(response.decode(), password.decode())


def _cram_md5(_):
    response = yield _CHALLENGE
    user, digest = response.decode().rsplit(" ", 1)
    secret = USERS.get(user, "").encode()
    if digest != hmac.new(secret, _CHALLENGE, "md5").hexdigest():
        raise _Failed
    return user


def _steps(response):
    user = password = None
    for step in range(3):
        if response is None:
            response = yield b"step %d" % step
        number, user, password = response.decode().split(" ", 2)
        if number != str(step):
            raise _Failed
        response = None
    return _judge(user, password)


_EXCHANGES = {
    "PLAIN": _plain,
    "LOGIN": _login,
    "CRAM-MD5": _cram_md5,
    "X-STEPS": _steps,
}


class _Handler(socketserver.StreamRequestHandler):
    _numbers = itertools.count(1)

    def handle(self):
        lines = ["VERSION\t1\t1"]
        lines += ["MECH\t%s\tplaintext" % name for name in MECHANISMS]
        lines += ["SPID\t1", "CUID\t%d" % next(self._numbers)]
        lines += ["COOKIE\t0123456789abcdef", "DONE"]
        self._say("\n".join(lines))
        under_way = {}
        for line in self.rfile:
            words = line.decode().rstrip("\n").split("\t")
            if words[0] == "AUTH":
                number, mechanism = words[1:3]
                try:
                    response = self._initial_response(line)
                except ValueError:
                    # Postfix cuts a long AUTH command.
                    self._say("FAIL\t%s" % number)
                    continue
                under_way[number] = _EXCHANGES[mechanism](response)
                self._go_on(under_way, number, None)
            elif words[0] == "CONT":
                self._go_on(under_way, words[1], base64.b64decode(words[2]))

    @staticmethod
    def _initial_response(line):
        _, found, response = line.decode().rstrip("\n").partition("\tresp=")
        return base64.b64decode(response) if found else None

    def _go_on(self, under_way, number, response):
        try:
            challenge = under_way[number].send(response)
        except StopIteration as success:
            self._say("OK\t%s\tuser=%s" % (number, success.value))
        except (_Failed, ValueError):
            self._say("FAIL\t%s" % number)
        else:
            self._say("CONT\t%s\t%s" % (number, _encode(challenge)))

    def _say(self, text):
        self.wfile.write((text + "\n").encode())


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class AuthServer:
    """Listens on a free loopback port until close()."""

    def __init__(self):
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self.port = self._server.server_address[1]
        threading.Thread(
            target=self._server.serve_forever, daemon=True
        ).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def responses(mechanism, user, password):
    """What a client answers in the exchange, in base64."""
    if mechanism == "PLAIN":
        return [_encode(b"\0%s\0%s" % (user.encode(), password.encode()))]
    if mechanism == "LOGIN":
        return [_encode(user.encode()), _encode(password.encode())]
    return [
        _encode(("%d %s %s" % (step, user, password)).encode())
        for step in range(3)
    ]
