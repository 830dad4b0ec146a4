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
# A slice of them belongs to the process that holds its first port. Processes
# side by side, of this run or another one, never get the same port.
_SLICE = 100
_slices = []  # sockets that hold the first port of each slice
_ports = []  # of the latest slice, not given yet


class Skip(Exception):
    """The environment lacks something; the text says what and the remedy."""


def _bound(port):
    """A socket that holds the port, None when something else does."""
    holder = socket.socket()
    try:
        holder.bind(("127.0.0.1", port))
    except OSError:
        holder.close()
        return None
    return holder


def _take_slice():
    starts = list(_PORT_RANGE[::_SLICE])
    random.shuffle(starts)
    for start in starts:
        holder = _bound(start)
        if holder is not None:
            _slices.append(holder)
            _ports.extend(range(start + 1, start + _SLICE))
            return
    raise RuntimeError(
        "no free TCP ports between %d and %d"
        % (_PORT_RANGE.start, _PORT_RANGE.stop)
    )


def _forget_slices():
    """A fork takes its own."""
    for holder in _slices:
        holder.close()
    _slices.clear()
    _ports.clear()
    random.seed()


os.register_at_fork(after_in_child=_forget_slices)


def free_port():
    """A TCP port on 127.0.0.1 that nothing listens on, never given twice."""
    while True:
        if not _ports:
            _take_slice()
        port = _ports.pop(0)
        probe = _bound(port)
        if probe is not None:
            probe.close()
            return port


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
