"""Small things every end-to-end module needs: ports, waiting, paths."""

import os
import random
import socket
import time

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))

# Below the kernel's ephemeral range, so that no outgoing connection of a test
# can take a port between its choice and its use.
_PORT_RANGE = range(21000, 31000)
_handed_out = set()


class Skip(Exception):
    """The environment lacks something; the text says what and the remedy."""


def free_port():
    """A TCP port on 127.0.0.1 that nothing listens on, never given twice."""
    for _ in range(1000):
        port = random.choice(_PORT_RANGE)
        if port in _handed_out:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _handed_out.add(port)
        return port
    raise RuntimeError(
        "no free TCP port between %d and %d"
        % (_PORT_RANGE.start, _PORT_RANGE.stop)
    )


def wait_until(condition, timeout, what):
    """Polls until condition() is true and returns its value.

    what names the thing waited for: a text, or a function that gives the text,
    for one that can only be known at the end.
    """
    deadline = time.monotonic() + timeout
    pause = 0.005
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(
                "not within %g s: %s"
                % (timeout, what() if callable(what) else what)
            )
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def read_text(path):
    """The file as text; empty when it does not exist (yet)."""
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8", "backslashreplace")
    except FileNotFoundError:
        return ""


def tail(text, lines=25):
    """The last lines of a log, for a failure message."""
    return "\n".join(text.splitlines()[-lines:])
