"""Certificates on disk as certbot keeps and renews them.

archive/NAME/fullchainN.pem and privkeyN.pem are the files, and
live/NAME/fullchain.pem and privkey.pem symbolic links to the newest ones. A
renewal writes new files and then switches the links one after the other.
"""

import os
import shutil
import time

NAME = "mx.test"


class Lineage:
    """One certificate's folders below `top`, at first with that certificate.

    Certificates are names of those in `certificates` (see certs.py).
    """

    def __init__(self, certificates, top, first):
        self._certificates = certificates
        self._top = top
        self._number = 0
        for folder in ("archive", "live"):
            os.makedirs(os.path.join(top, folder, NAME), mode=0o700)
        self.renew(first)

    @property
    def fullchain(self):
        return self._live("fullchain")

    @property
    def privkey(self):
        return self._live("privkey")

    def settings(self):
        return {
            "tls_cert_file": self.fullchain,
            "tls_key_file": self.privkey,
        }

    def archived(self, kind):
        """The newest file of that kind."""
        return os.path.join(
            self._top, "archive", NAME, "%s%d.pem" % (kind, self._number)
        )

    def renew(self, chain, key=None, pause=0):
        """New files for the chain and the key, and the links switched.

        chain is the name of a certificate, key too (the same by default), or
        either the path of a file to copy, or None for no file at all. pause is
        the time between the links.
        """
        self._number += 1
        key = chain if key is None else key
        self._write("privkey", key, ".key")
        self._write("fullchain", chain, ".chain.pem")
        for kind in ("privkey", "fullchain"):
            link = self._live(kind)
            if os.path.lexists(link):
                os.unlink(link)
            os.symlink(os.path.relpath(self.archived(kind), self._dir()), link)
            time.sleep(pause)

    def lose(self, kind):
        """The link's target is gone."""
        os.unlink(self.archived(kind))

    def _write(self, kind, source, suffix):
        if not os.path.isabs(source):
            source = self._certificates.path(source + suffix)
        shutil.copy(source, self.archived(kind))
        os.chmod(self.archived(kind), 0o600 if kind == "privkey" else 0o644)

    def _dir(self):
        return os.path.join(self._top, "live", NAME)

    def _live(self, kind):
        return os.path.join(self._dir(), kind + ".pem")
