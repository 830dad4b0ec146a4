"""What the TLS tests share beside case.py: both kinds of listeners, policy
tables, reloads and what a client saw of a certificate."""

import hashlib
import os
import signal
import ssl
import tempfile

import case
import proxy
import smtpclient
import util

BODY = b"Subject: x\r\n\r\ny\r\n"
RELOADED = "TLS certificates reloaded"
KEPT = r"error: reload: .*; what was loaded before stays in use"


def toml(settings):
    """Settings as TOML; None leaves one out."""

    def value(each):
        if isinstance(each, (list, tuple)):
            return "[%s]" % ", ".join(map(value, each))
        if isinstance(each, int):
            return str(each)
        return '"%s"' % each

    # yes and no are the command line's; TOML has its own booleans.
    words = {"yes": "true", "no": "false"}
    return "".join(
        "%s = %s\n"
        % (name, words.get(each) if each in ("yes", "no") else value(each))
        for name, each in settings.items()
        if each is not None
    )


def insecure(context, version):
    """Lets an ssl context speak a version that is out of use."""
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


class TlsCase(case.PostfixCase):
    """Proxies that listen for STARTTLS and, at implicit_port, for TLS."""

    def start_proxy(self, listener="reuse", **changes):
        port = util.free_port()
        changes.setdefault("listen_tls", "127.0.0.1:%d" % port)
        running = super().start_proxy(listener, **changes)
        running.implicit_port = port
        return running

    def start_with_file(self, more, listener="reuse", **changes):
        """As start_proxy(), all from a settings file that ends in more."""
        port, implicit = util.free_port(), util.free_port()
        changes.setdefault("listen_tls", "127.0.0.1:%d" % implicit)
        settings = proxy.settings_for(
            port,
            self.postfix.backend(listener),
            self.certificates,
            **changes,
        )
        running = self.launch(
            ["--config=" + self.file(toml(settings) + more, ".toml")], port
        )
        running.implicit_port = implicit
        return running

    def file(self, text, suffix=".txt"):
        """The path of a file with that text, readable by us alone."""
        handle, path = tempfile.mkstemp(prefix="tlspost-e2e-", suffix=suffix)
        self.addCleanup(os.unlink, path)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def folder(self):
        """An empty directory, removed when the test ends."""
        folder = tempfile.TemporaryDirectory(prefix="tlspost-e2e-")
        self.addCleanup(folder.cleanup)
        return folder.name

    def tls_connect(
        self,
        running,
        context=None,
        implicit=False,
        server_name="mx.test",
        session=None,
        source="127.0.0.1",
    ):
        """A client right after the handshake, under whatever name."""
        if context is None:
            context = self.certificates.trust()
        context.check_hostname = False
        client = smtpclient.Client(
            running.implicit_port if implicit else running.port,
            source=source,
            greet=not implicit,
        )
        self.clients.append(client)
        if implicit:
            client.handshake(context, server_name, session)
            client.greeting = client.reply()
        else:
            client.ehlo("client.test")
            client.starttls(context, server_name, session)
        return client

    def tls_client(self, running, *positional, **how):
        """The same after EHLO."""
        client = self.tls_connect(running, *positional, **how)
        client.ehlo("client.test")
        return client

    def fingerprint(self, client):
        """Of the certificate that the server showed to that client."""
        der = client.tls.getpeercert(binary_form=True)
        return hashlib.sha256(der).hexdigest()

    def assert_shows(self, client, name):
        """It was this certificate of ours."""
        self.assertEqual(
            self.fingerprint(client), self.certificates.fingerprint(name)
        )

    def reload(self, running, outcome=RELOADED):
        """SIGHUP, and the line that says what came of it."""
        before = len(running.log())
        running.process.send_signal(signal.SIGHUP)
        return self.wait_for_line(running, before, outcome)

    def wait_for_line(self, running, before, pattern, timeout=5):
        """A match of the pattern in what was logged from there on."""
        return util.wait_until(
            lambda: case.re.search(pattern, running.log()[before:]),
            timeout,
            lambda: "/%s/ in\n%s" % (pattern, running.log()[before:]),
        )

    def assert_refuses_to_start(self, *words, **changes):
        """It ends at once with one line that holds all these words."""
        changes.setdefault("listen_tls", None)
        result = proxy.run(
            *proxy.options(
                proxy.settings_for(
                    0, "127.0.0.1:1", self.certificates, **changes
                )
            )
        )
        self.assertGreater(result.returncode, 0, result.stderr)
        lines = result.stderr.strip().splitlines()
        self.assertEqual(len(lines), 1, result.stderr)
        for word in words:
            self.assertIn(word.lower(), lines[0].lower())
