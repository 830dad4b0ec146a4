"""Session tickets: resumption in all workers, after a restart, by replicas."""

import base64
import os
import time

import tlscase

_VERSIONS = ("TLSv1.2", "TLSv1.3")


def _key():
    """A line of tls_ticket_key_file."""
    return base64.b64encode(os.urandom(80)).decode() + "\n"


class TicketTest(tlscase.TlsCase):
    def setUp(self):
        super().setUp()
        self.contexts = {
            version: self.certificates.trust(version) for version in _VERSIONS
        }

    def sessions(self, running, **how):
        """{version: a new session}."""
        result = {}
        for version, context in self.contexts.items():
            client = self.tls_client(running, context, **how)
            self.assertFalse(client.tls.session_reused)
            client.quit()
            result[version] = client.tls.session
        return result

    def resumes(self, running, sessions, **how):
        """Whether those sessions are resumed; either all are or none.

        A client whose session is not known is served all the same.
        """
        outcomes = []
        for version, session in sessions.items():
            before = len(running.log())
            client = self.tls_client(
                running, self.contexts[version], session=session, **how
            )
            outcomes.append(client.tls.session_reused)
            self.wait_for_line(
                running,
                before,
                r"Anonymous TLS connection %s from "
                % ("reused" if outcomes[-1] else "established"),
            )
            client.quit()
        self.assertNotIn("SSL_accept error", running.log())
        self.assertEqual(len(set(outcomes)), 1, outcomes)
        return outcomes[0]

    def rewrite(self, path, *keys):
        """Replaces the file in one step, as a careful operator does."""
        with open(path + ".new", "w", encoding="ascii") as file:
            file.writelines(keys)
        os.chmod(path + ".new", 0o600)
        os.replace(path + ".new", path)

    def test_every_worker_resumes(self):
        running = self.start_proxy(workers=3)
        sessions = self.sessions(running)
        for _ in range(12):
            self.assertTrue(self.resumes(running, sessions))
        self.assertTrue(self.resumes(running, sessions, implicit=True))

    def test_a_message_in_a_resumed_session(self):
        running = self.start_proxy()
        for version, session in self.sessions(running).items():
            with self.subTest(version):
                self.postfix.clear()
                client = self.tls_client(
                    running, self.contexts[version], session=session
                )
                self.assertTrue(client.tls.session_reused)
                client.deliver(
                    "a@sender.test", ["b@recipient.test"], tlscase.BODY
                )
                client.quit()
                self.assert_received(
                    self.only_message().received(1),
                    "client.test",
                    "127.0.0.1",
                    "ESMTPS",
                    "b@recipient.test",
                    (version, client.tls.cipher()[0]),
                    reused=True,
                )

    def test_E033_replicas_with_the_same_key_file(self):
        path = self.file("# ours\n\n" + _key() + _key())
        one = self.start_proxy(tls_ticket_key_file=path)
        two = self.start_proxy(tls_ticket_key_file=path)
        other = self.start_proxy(tls_ticket_key_file=self.file(_key()))
        alone = self.start_proxy()
        sessions = self.sessions(one)
        self.assertTrue(self.resumes(one, sessions))
        self.assertTrue(self.resumes(two, sessions))
        self.assertFalse(self.resumes(other, sessions))
        self.assertFalse(self.resumes(alone, sessions))
        self.assertFalse(self.resumes(one, self.sessions(alone)))

    def test_restart(self):
        path = self.file(_key())
        for settings, resumed in (
            ({"tls_ticket_key_file": path}, True),
            ({}, False),
        ):
            with self.subTest(resumed):
                first = self.start_proxy(**settings)
                sessions = self.sessions(first)
                first.stop()
                second = self.start_proxy(**settings)
                self.assertEqual(self.resumes(second, sessions), resumed)

    def test_keys_are_rotated_by_a_reload(self):
        old, new = _key(), _key()
        path = self.file(old)
        running = self.start_proxy(tls_ticket_key_file=path)
        first = self.sessions(running)
        self.rewrite(path, new, old)
        self.reload(running)
        self.assertTrue(self.resumes(running, first))
        second = self.sessions(running)
        self.rewrite(path, new)
        self.reload(running)
        self.assertFalse(self.resumes(running, first))
        self.assertTrue(self.resumes(running, second))

    def test_a_changed_key_file_is_noticed(self):
        path = self.file(_key())
        running = self.start_proxy(tls_ticket_key_file=path)
        sessions = self.sessions(running)
        before = len(running.log())
        self.rewrite(path, _key())
        self.wait_for_line(running, before, tlscase.RELOADED, 3)
        self.assertFalse(self.resumes(running, sessions))

    def test_a_broken_key_file_changes_nothing(self):
        path = self.file(_key())
        running = self.start_proxy(tls_ticket_key_file=path)
        sessions = self.sessions(running)
        self.rewrite(path, "this is no key\n")
        self.reload(running, tlscase.KEPT)
        self.assertTrue(self.resumes(running, sessions))

    def test_key_file_that_is_wrong_at_the_start(self):
        self.assert_refuses_to_start(
            "/nowhere/keys", tls_ticket_key_file="/nowhere/keys"
        )
        for text, line in (
            ("this is no key\n", ":1"),
            (_key() + "# fine\n" + _key()[:50] + "\n", ":3"),
            ("", ""),
        ):
            with self.subTest(text[:20]):
                path = self.file(text)
                self.assert_refuses_to_start(
                    path + line, "openssl rand", tls_ticket_key_file=path
                )

    def test_key_file_that_everybody_may_read(self):
        path = self.file(_key())
        os.chmod(path, 0o644)
        self.assert_refuses_to_start(
            path,
            "chmod 600",
            tls_ticket_key_file=path,
            tls_strict_key_permissions="yes",
        )
        running = self.start_proxy(tls_ticket_key_file=path)
        running.wait_for_log(r"warning: .*%s.*chmod 600" % path)

    def test_lifetime(self):
        running = self.start_proxy(tls_session_cache_timeout="1s")
        sessions = self.sessions(running)
        time.sleep(2.2)
        self.assertFalse(self.resumes(running, sessions))

    def test_a_ticket_of_one_name_is_none_of_another(self):
        """Each name has its certificate; a session is bound to it."""
        for name in ("one", "two"):
            self.certificates.issue(name, names="DNS:%s.test" % name)
        names = self.file(
            "".join(
                "%s.test %s\n"
                % (name, self.certificates.path(name + ".combined.pem"))
                for name in ("one", "two")
            )
        )
        running = self.start_proxy(tls_server_sni_maps=names)
        sessions = self.sessions(running, server_name="one.test")
        self.assertTrue(
            self.resumes(running, sessions, server_name="one.test")
        )
        self.assertFalse(
            self.resumes(running, sessions, server_name="two.test")
        )
        self.assertFalse(self.resumes(running, sessions))
