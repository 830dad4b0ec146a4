"""The Postfix to use: an unpacked package, or an installed one, which stays
untouched."""

import os
import shutil
import subprocess

import debian
import util


class Software:
    """Where the programs lie, and the environment they need."""

    def __init__(self, commands, daemons, environment):
        self.commands = commands
        self.daemons = daemons
        self.environment = environment

    @property
    def libraries(self):
        """LD_LIBRARY_PATH, empty for an installed Postfix."""
        return self.environment.get("LD_LIBRARY_PATH", "")

    def version(self):
        return subprocess.run(
            [
                os.path.join(self.commands, "postconf"),
                "-d",
                "-h",
                "mail_version",
            ],
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout.strip()


def _installed():
    """An installed Postfix, whose programs can be used without touching it."""
    postconf = shutil.which("postconf", path="/usr/sbin:/usr/local/sbin")
    if not postconf:
        return None
    daemons = subprocess.run(
        [postconf, "-d", "-h", "daemon_directory"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    ).stdout.strip()
    if not os.path.exists(os.path.join(daemons, "master")):
        return None
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C"}
    return Software(os.path.dirname(postconf), daemons, environment)


def locate():
    """The Postfix to use; util.Skip says why there is none."""
    try:
        tree = debian.unpack("postfix")
    except util.Skip:
        software = _installed()
        if software is None:
            raise
        return software
    return Software(
        tree.path("usr/sbin"),
        tree.path("usr/lib/postfix/sbin"),
        tree.environment(),
    )
