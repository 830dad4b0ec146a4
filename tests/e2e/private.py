"""A mount namespace in which a mail server finds users and folders of its own.

Some servers have the names of their users and folders compiled in. Inside,
/etc/passwd and /etc/group have these users too, and some folders are others;
outside nothing changes.
"""

import os
import pwd
import socket
import subprocess

import util

# An unprivileged user and group that every Debian has; they own nothing.
_STAND_INS = ("news", "irc")


class Namespace:
    """Users with these names, who are others under new names.

    folders: {path there: path here}. Files are made in folder.
    """

    def __init__(self, folder, users, folders=None):
        if os.geteuid() != 0:
            raise util.Skip(
                "a private mail server needs root; run tests/e2e/run as root "
                "or with password-less sudo"
            )
        if subprocess.run(
            ["unshare", "--mount", "true"], capture_output=True, check=False
        ).returncode:
            raise util.Skip(
                "a private mail server needs a mount namespace, and this "
                "machine makes none: unshare --mount fails"
            )
        self._mounts = dict(folders or {})
        self.ids = [
            pwd.getpwnam(name)[2:4] for name in _STAND_INS[: len(users)]
        ]
        for name, line in (
            ("passwd", "%s:x:%d:%d::/nonexistent:/bin/false\n"),
            ("group", "%s:x:%.0s%d:\n"),
        ):
            with open("/etc/" + name, encoding="utf-8") as file:
                text = file.read()
            path = os.path.join(folder, name)
            with open(path, "w", encoding="utf-8") as file:
                # The first line with an id gives the name for it.
                for user, ids in zip(users, self.ids):
                    file.write(line % ((user,) + tuple(ids)))
                file.write(text)
            self._mounts["/etc/" + name] = path

    def command(self, *arguments):
        """The command line that runs these arguments inside."""
        script = "".join(
            "mount --bind '%s' '%s' && " % (here, there)
            for there, here in self._mounts.items()
        )
        return [
            "unshare",
            "--mount",
            "sh",
            "-c",
            script + 'exec "$@"',
            "sh",
        ] + list(arguments)

def greets(program, process, port, log):
    """Whether the server greets at this port; its end is an error.

    program: its name; log: a function, what it has said so far.
    """
    if process.poll() is not None:
        raise AssertionError(
            "%s ended with status %s\n%s"
            % (program, process.returncode, util.tail(log()))
        )
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as peer:
            greeting = peer.recv(200)
            peer.sendall(b"QUIT\r\n")
            peer.recv(200)
            return greeting.startswith(b"220 ")
    except OSError:
        return False
