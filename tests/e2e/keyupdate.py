"""A TLS 1.3 client that sends what Python's ssl module cannot: KeyUpdates.

OpenSSL's own library through ctypes, on a socket that is already where TLS is
due. For tests of tlspost's bound on them only: it verifies no certificate.
"""

import ctypes
import ctypes.util

_UPDATE_NOT_REQUESTED, _UPDATE_REQUESTED = 0, 1


def _library():
    name = ctypes.util.find_library("ssl")
    library = ctypes.CDLL(name)
    library.TLS_client_method.restype = ctypes.c_void_p
    for function, arguments in (
        ("SSL_CTX_new", [ctypes.c_void_p]),
        ("SSL_new", [ctypes.c_void_p]),
    ):
        getattr(library, function).restype = ctypes.c_void_p
        getattr(library, function).argtypes = arguments
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    for function, arguments in (
        ("SSL_set_fd", [pointer, integer]),
        ("SSL_connect", [pointer]),
        ("SSL_key_update", [pointer, integer]),
        ("SSL_do_handshake", [pointer]),
        ("SSL_write", [pointer, ctypes.c_char_p, integer]),
        ("SSL_read", [pointer, ctypes.c_char_p, integer]),
        ("SSL_free", [pointer]),
        ("SSL_CTX_free", [pointer]),
    ):
        getattr(library, function).argtypes = arguments
    return library


class Client:
    """TLS on a connected, blocking socket, which stays its owner's."""

    def __init__(self, socket):
        # With a time-out Python makes the descriptor non-blocking.
        socket.settimeout(None)
        self._ssl = _library()
        self._context = self._ssl.SSL_CTX_new(self._ssl.TLS_client_method())
        self._connection = self._ssl.SSL_new(self._context)
        self._ssl.SSL_set_fd(self._connection, socket.fileno())
        assert self._ssl.SSL_connect(self._connection) == 1, "no handshake"

    def close(self):
        self._ssl.SSL_free(self._connection)
        self._ssl.SSL_CTX_free(self._context)

    def update_keys(self, answered=False):
        """Sends a KeyUpdate; False once the connection is lost."""
        self._ssl.SSL_key_update(
            self._connection,
            _UPDATE_REQUESTED if answered else _UPDATE_NOT_REQUESTED,
        )
        return self._ssl.SSL_do_handshake(self._connection) == 1

    def write(self, data):
        return self._ssl.SSL_write(self._connection, data, len(data)) > 0

    def read(self):
        """Some plaintext; b'' at the end."""
        buffer = ctypes.create_string_buffer(16384)
        size = self._ssl.SSL_read(self._connection, buffer, len(buffer))
        return buffer.raw[: max(size, 0)]
