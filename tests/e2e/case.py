"""What the tests share: one Postfix, certificates, proxies, checks."""

import contextlib
import re
import unittest

import certs
import postfix
import proxy
import smtpclient
import util

DATE = r"\w{3}, [ \d]\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}(?: \(\w+\))?"


class _Shared:
    """Made on first use, once per process."""

    def __init__(self):
        self._postfix = None
        self._no_postfix = None
        self._certificates = None

    def postfix(self):
        if self._no_postfix:
            raise unittest.SkipTest(self._no_postfix)
        if self._postfix is None:
            try:
                self._postfix = postfix.Postfix(self.certificates())
            except util.Skip as reason:
                self._no_postfix = str(reason)
                raise unittest.SkipTest(self._no_postfix) from None
            self._postfix.start()
        return self._postfix

    def prepare(self, tests):
        """Makes what they need before the first one's time runs."""
        self.certificates()
        if any(isinstance(test, PostfixCase) for test in tests):
            with contextlib.suppress(unittest.SkipTest):
                self.postfix()

    def certificates(self):
        if self._certificates is None:
            self._certificates = certs.Certificates()
        return self._certificates

    def close(self):
        if self._postfix is not None:
            self._postfix.close()
        if self._certificates is not None:
            self._certificates.close()


shared = _Shared()


class Case(unittest.TestCase):
    """A test that starts proxies; each must end cleanly when the test ends."""

    maxDiff = None
    longMessage = True
    needs_proxy = True
    crowd = False  # True: not beside another such test
    both_engines = False  # True: over io_uring and over epoll in every run
    chooses_engine = False  # True: it says so itself
    engine = None  # what its proxies run on; None: what tlspost chooses

    def setUp(self):
        self.proxies = []
        self.clients = []
        self.certificates = shared.certificates()

    def tearDown(self):
        # Clients first: while one stays connected, a drain takes its time.
        self.close_clients()
        # A failure here is the proxy's: it did not end, or a sanitizer spoke.
        for running in self.proxies:
            running.stop()

    def doCleanups(self):
        # Reached with or without an error before.
        self.close_clients()
        for running in self.proxies:
            running.kill()
        return super().doCleanups()

    def close_clients(self):
        for client in self.clients:
            client.close()

    def logs(self):
        """Texts for the report of a failure: [(title, text)]."""
        return [
            (" ".join(running.command[1:]), running.log())
            for running in self.proxies
        ]

    def forget_logs(self):
        for running in self.proxies:
            running.forget()

    # Proxies and clients.

    def launch(self, arguments, port, **how):
        """how: see proxy.Proxy."""
        if self.engine is not None and not any(
            argument.startswith("--io_engine") for argument in arguments
        ):
            arguments = arguments + ["--io_engine=" + self.engine]
        running = proxy.Proxy(port, arguments, **how)
        self.proxies.append(running)
        return running

    def start_proxy(self, backend, **changes):
        """A proxy with the usual settings, changed by name."""
        port = changes.pop("port", None) or util.free_port()
        how = {"preexec_fn": changes.pop("preexec_fn", None)}
        settings = proxy.settings_for(
            port, backend, self.certificates, **changes
        )
        return self.launch(proxy.options(settings), port, **how)

    def connect(self, running, **how):
        """A raw client, closed at the test's end."""
        client = smtpclient.Client(running.port, **how)
        self.clients.append(client)
        return client

    def plain_session(self, running, name="client.test", **how):
        """A client after EHLO in plaintext."""
        client = smtpclient.session(running.port, None, name, **how)
        self.clients.append(client)
        return client

    def tls_session(self, running, name="client.test", version=None, **how):
        """A client after STARTTLS and EHLO."""
        client = smtpclient.session(
            running.port, self.certificates.trust(version), name, **how
        )
        self.clients.append(client)
        return client

    # Checks.

    def assert_reply(self, reply, code, enhanced=None):
        self.assertEqual(reply.code, code, reply.text)
        if enhanced is not None:
            self.assertRegex(reply.enhanced, "^(?:%s)$" % enhanced, reply.text)

    def assert_closes(self, client, timeout):
        """The server closes within timeout; returns what it sent before."""
        try:
            return client.rest(timeout)
        except TimeoutError:
            raise AssertionError(
                "the connection is open after %g s" % timeout
            ) from None

    def assert_received(
        self,
        field,
        helo,
        client,
        protocol,
        recipient,
        tls=None,
        bits=None,
        certificate="No client certificate requested",
        reused=False,
    ):
        """The field is our Received header in Postfix's exact layout.

        client is the address, protocol the word after "with", tls the pair of
        TLS protocol and cipher, or None for none; certificate is the text of
        the client certificate's clause, reused whether the session is an
        earlier one's: then nothing was signed.
        """
        lines = [
            r"Received: from %s \(unknown \[%s\]\)"
            % (re.escape(helo), re.escape(client))
        ]
        if tls is not None:
            version, cipher = tls
            used = bits or (128 if re.search(r"AES_?128", cipher) else 256)
            clause = r"\t\(using %s with cipher %s \(%d/%d bits\)" % (
                re.escape(version),
                re.escape(cipher),
                used,
                used,
            )
            if version == "TLSv1.3":
                lines.append(clause)
                lines.append(
                    r"\t key-exchange \S+(?: \([^()]+\))?"
                    + (
                        ""
                        if reused
                        else r" server-signature \S+ \([^()]+\)"
                        r" server-digest \S+"
                    )
                )
                if certificate.startswith("Client CN") and not reused:
                    lines.append(
                        r"\t client-signature \S+ \([^()]+\)"
                        r" client-digest \S+"
                    )
                lines[-1] += r"\)"
            else:
                lines.append(clause + r"\)")
            lines.append(r"\t\(%s\)" % re.escape(certificate))
        end = r"by %s \([^()]+\) with %s id [^\s;]+" % (
            re.escape(proxy.HOSTNAME),
            protocol,
        )
        if recipient is None:
            lines.append("\t" + end + ";")
            lines.append("\t" + DATE)
        else:
            lines.append("\t" + end)
            lines.append(r"\tfor <%s>; %s" % (re.escape(recipient), DATE))
        self.assertRegex(field, "^" + "\n".join(lines) + "\n$")


class PostfixCase(Case):
    """A test with the real Postfix behind it, its queue empty at the start."""

    def setUp(self):
        super().setUp()
        self.postfix = shared.postfix()
        self.postfix.clear()
        self._log_start = len(self.postfix.log())

    def postfix_log(self):
        """What Postfix logged since this test began."""
        return self.postfix.log()[self._log_start :]

    def logs(self):
        if not hasattr(self, "postfix"):
            return super().logs()
        return super().logs() + [("Postfix", self.postfix_log())]

    def start_proxy(self, listener="reuse", **changes):
        backend = changes.pop("backend", None) or self.postfix.backend(
            listener
        )
        return super().start_proxy(backend, **changes)

    def start_learned_proxy(self, listener="reuse", **changes):
        """As start_proxy(), of one worker that knows what the backend offers.

        Right after the start EHLO may offer only a minimum; a test that needs
        8BITMIME or DSN waits for the backend's own list.
        """
        running = self.start_proxy(listener, workers=1, **changes)
        with smtpclient.Client(running.port) as client:

            def known():
                client.ehlo("client.test")
                return "8BITMIME" in client.extensions

            util.wait_until(known, 5, "EHLO with what the backend offers")
            client.quit()
        return running

    def only_message(self):
        """The one message in the queue."""
        messages = self.postfix.messages()
        self.assertEqual(
            len(messages),
            1,
            "messages in Postfix's queue: %s"
            % [(message.sender, message.recipients) for message in messages],
        )
        return messages[0]

    def assert_content(self, message, content):
        """Below Postfix's and our Received the message is content (CRLF)."""
        self.assertTrue(message.received(0).startswith("Received: from "))
        self.assertIn("by backend.test (Postfix)", message.received(0))
        self.assertIn("by %s (" % proxy.HOSTNAME, message.received(1))
        arrived = message.below(2)
        wanted = content.replace(b"\r\n", b"\n")
        if arrived != wanted:
            at = next(
                (
                    index
                    for index, pair in enumerate(zip(arrived, wanted))
                    if pair[0] != pair[1]
                ),
                min(len(arrived), len(wanted)),
            )
            self.fail(
                "the content differs at byte %d: %d bytes %r arrived, "
                "%d bytes %r were sent"
                % (
                    at,
                    len(arrived),
                    arrived[max(at - 20, 0) : at + 40],
                    len(wanted),
                    wanted[max(at - 20, 0) : at + 40],
                )
            )

    def assert_delivers(self, client, sender="again@sender.test"):
        """The session still delivers; for after something went wrong."""
        before = set(self.postfix.queue_ids())
        content = b"Subject: still alive\r\n\r\nYes.\r\n"
        client.deliver(sender, ["again@recipient.test"], content)
        new = [
            self.postfix.message(queue_id)
            for queue_id in set(self.postfix.queue_ids()) - before
        ]
        self.assertEqual([message.sender for message in new], [sender])
        self.assert_content(new[0], content)
