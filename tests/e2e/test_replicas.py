"""Several tlspost behind a load balancer: HAProxy with the PROXY protocol.

What docs promise of replicas: clients' addresses, sessions that any of them
resumes, keys rotated under way, a replica that dies or is taken out.
"""

import base64
import os
import unittest

import haproxy
import tlscase
import traffic
import util

_REPLICAS = ("one", "two", "three")


def _key():
    """A line of tls_ticket_key_file."""
    return base64.b64encode(os.urandom(80)).decode() + "\n"


class ReplicasCase(tlscase.TlsCase):
    crowd = True

    def setUp(self):
        super().setUp()
        self.keys = self.file(_key())
        self.replicas = {}
        self.admin = {}
        for name in _REPLICAS:
            self.admin[name] = util.free_port()
            self.replicas[name] = self.start_proxy(
                upstream_proxy_protocol="haproxy",
                haproxy_networks=haproxy.ADDRESS,
                admin_listen="127.0.0.1:%d" % self.admin[name],
                tls_ticket_key_file=self.keys,
                workers=1,
                backend_max_connections=16,
            )
        try:
            self.balancer = haproxy.Haproxy(
                {
                    name: (self.replicas[name].port, self.admin[name])
                    for name in _REPLICAS
                }
            )
        except util.Skip as reason:
            raise unittest.SkipTest(str(reason)) from None
        self.addCleanup(self.balancer.close)

    def client(self, context=None, **how):
        """A client of the balancer, after STARTTLS and EHLO."""
        return self.tls_client(self.balancer, context, **how)

    def served(self):
        """{name: sessions that its log has of clients}."""
        return {
            name: running.log().count("connect from")
            for name, running in self.replicas.items()
        }


class ReplicasTest(ReplicasCase):
    def test_each_sees_the_client(self):
        for number in range(len(_REPLICAS)):
            source = "127.0.5.%d" % (1 + number)
            client = self.client(source=source)
            self.postfix.clear()
            client.deliver("a@sender.test", ["b@recipient.test"], tlscase.BODY)
            message = self.only_message()
            # Postfix's own line and ours: XCLIENT has told it, too.
            for line in (0, 1):
                self.assertIn("[%s]" % source, message.received(line))
            client.quit()
        for name, running in self.replicas.items():
            self.assertRegex(running.log(), r"connect from \S+\[127\.0\.5\.\d\]")

    def test_sessions_resume_at_any_and_over_a_rotation(self):
        contexts = {
            version: self.certificates.trust(version)
            for version in ("TLSv1.2", "TLSv1.3")
        }

        def sessions():
            result = {}
            for version, context in contexts.items():
                client = self.client(context)
                client.ehlo("client.test")
                client.quit()
                result[version] = client.tls.session
            return result

        def assert_resume(known):
            """At each replica, since they take turns."""
            before = {
                name: running.log().count("TLS connection reused")
                for name, running in self.replicas.items()
            }
            for version, session in known.items():
                for _ in _REPLICAS:
                    client = self.client(contexts[version], session=session)
                    self.assertTrue(client.tls.session_reused, version)
                    client.quit()
            for name, running in self.replicas.items():
                util.wait_until(
                    lambda: running.log().count("TLS connection reused")
                    >= before[name] + len(known),
                    10,
                    lambda: name + "\n" + util.tail(running.log()),
                )

        old = sessions()
        assert_resume(old)
        with open(self.keys, encoding="ascii") as file:
            keys = file.read()
        with open(self.keys + ".new", "w", encoding="ascii") as file:
            file.write(_key() + keys)
        os.chmod(self.keys + ".new", 0o600)
        os.replace(self.keys + ".new", self.keys)
        for running in self.replicas.values():
            running.wait_for_log(tlscase.RELOADED)
        assert_resume(old)
        assert_resume(sessions())


class ReplicasUnderLoadTest(ReplicasCase):
    def under_load(self, event, mails):
        """Traffic before, while and after it; the numbers of its outcomes."""
        with traffic.Traffic(
            self.balancer.port, self.certificates.trust(), mails
        ) as load:
            self.await_mails(load, 30)
            event()
            self.await_mails(load, len(load.sent_at) + 60)
        return load, traffic.check(self, load.outcomes)

    def await_mails(self, load, count):
        util.wait_until(
            lambda: len(load.sent_at) >= count,
            60,
            lambda: "%d mails; %s" % (count, load.turned_away[-3:]),
        )

    def test_nobody_sees_that_one_is_drained(self):
        def drain():
            self.balancer.drain("two")
            self.replicas["two"].terminate()
            self.assertEqual(self.replicas["two"].wait(20), 0)

        load, numbers = self.under_load(drain, mails=2)
        self.assertEqual(load.turned_away, [])
        self.assertEqual(set(numbers), {"sent"})

    def test_a_drain_that_the_balancer_is_not_told_of(self):
        """Clients may hear 421, and no mail is in doubt."""

        def terminate():
            self.replicas["two"].terminate()
            self.assertEqual(self.replicas["two"].wait(20), 0)

        _, numbers = self.under_load(terminate, mails=None)
        self.assertLessEqual(set(numbers), {"sent", "refused", "unsent"})
        self.assertLess(numbers["refused"] + numbers["unsent"], traffic.CLIENTS)

    def test_only_its_own_clients_see_that_one_dies(self):
        def kill():
            self.replicas["two"].kill()
            self.balancer.await_state("two", "DOWN")
            self.others = self.served()

        load, numbers = self.under_load(kill, mails=2)
        lost = numbers["unknown"] + numbers["unsent"]
        # Each client was in one session at a time, at one of three.
        self.assertLess(lost, traffic.CLIENTS)
        self.assertEqual(numbers["wrong"] + numbers["refused"], 0)
        self.assertGreater(numbers["sent"], 60)
        # And the others go on.
        now = self.served()
        for name in ("one", "three"):
            self.assertGreater(now[name], self.others[name])
        self.proxies.remove(self.replicas["two"])
        self.replicas["two"].forget()
