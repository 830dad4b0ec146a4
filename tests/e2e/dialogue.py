"""A program that is spoken to: s_client, gnutls-cli, nc and their like."""

import os
import re
import select
import subprocess
import time


class Dialogue:
    """A program that is spoken to on its standard input and output."""

    def __init__(self, command, environment):
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._unread = b""

    def expect(self, pattern, timeout=20):
        """Reads until a line matches (a bytes pattern); the match."""
        deadline = time.monotonic() + timeout
        while True:
            match = re.search(pattern, self._unread, re.MULTILINE)
            if match:
                self._unread = self._unread[match.end() :]
                return match
            left = deadline - time.monotonic()
            if (
                left <= 0
                or not select.select([self._process.stdout], [], [], left)[0]
            ):
                raise AssertionError(
                    "no line like %r within %g s, but %r"
                    % (pattern, timeout, self._unread)
                )
            data = os.read(self._process.stdout.fileno(), 65536)
            if not data:
                raise AssertionError(
                    "the program ended before a line like %r, after "
                    "%r\n%s" % (pattern, self._unread, self.end())
                )
            self._unread += data

    def say(self, data):
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def end(self):
        """Waits for the end; what it wrote to its standard error."""
        try:
            return self._process.communicate(timeout=10)[1].decode(
                errors="replace"
            )
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
