"""A private Postfix that sends: its smtp client is the client of a proxy.

It takes mail on a port of its own, queues it, and relays all of it, over
STARTTLS and many connections at once.
"""

import glob
import os

import postfix
import postfix_config

_MAIN_CF = (
    postfix_config.PLACES_CF
    + """\
myhostname = sender.test
mydomain = test
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
smtpd_peername_lookup = no
disable_dns_lookups = yes
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_client_connection_count_limit = 0
in_flow_delay = 0
queue_minfree = 0

relayhost = [127.0.0.1]:{through}
smtp_tls_security_level = encrypt
smtp_tls_loglevel = 1
default_destination_concurrency_limit = 10
initial_destination_concurrency = 10
minimal_backoff_time = 1s
maximal_backoff_time = 5s
queue_run_delay = 1s
"""
)

_MASTER_CF = """\
127.0.0.1:{submit} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
rewrite unix - - n - - trivial-rewrite
smtp unix - - n - - smtp
relay unix - - n - - smtp
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
scache unix - - n - 1 scache
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
"""


class PostfixSender(postfix.Postfix):
    """Sends all it takes to the proxy that listens on `through`."""

    listeners = ("submit",)

    def __init__(self, certificates, through):
        self._through = through
        super().__init__(certificates)

    def _files(self, certificates, values):
        return {
            "main.cf": _MAIN_CF.format(through=self._through, **values),
            "master.cf": _MASTER_CF.format(**self.ports),
        }

    def queued(self):
        """How many messages it still has."""
        return sum(
            os.path.isfile(path)
            for name in ("incoming", "active", "deferred")
            for path in glob.glob(
                os.path.join(self.top, "queue", name, "**"), recursive=True
            )
        )
