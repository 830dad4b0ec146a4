"""What is wrong at the start is said in one line, with the remedy."""

import errno
import os
import socket
import tempfile

import case
import proxy
import seccomp
import util


class StartupErrorTest(case.Case):
    def settings(self, **changes):
        """Settings that would start, changed by name."""
        backend = changes.pop("backend", "127.0.0.1:1")
        return proxy.settings_for(0, backend, self.certificates, **changes)

    def assert_refuses(self, arguments, *words, preexec_fn=None):
        """It ends at once, not with 0, and one line holds all these words."""
        result = proxy.run(*arguments, timeout=40, preexec_fn=preexec_fn)
        shown = "%s\nstatus %s\n%s%s" % (
            " ".join(arguments),
            result.returncode,
            result.stdout,
            result.stderr,
        )
        self.assertNotEqual(result.returncode, 0, shown)
        self.assertGreater(
            result.returncode, 0, "killed by a signal: " + shown
        )
        lines = [line for line in result.stderr.splitlines() if line.strip()]
        self.assertEqual(len(lines), 1, "one line is wanted: " + shown)
        for word in words:
            self.assertIn(word.lower(), lines[0].lower(), shown)
        return lines[0]

    def refuses(self, *words, **changes):
        return self.assert_refuses(
            proxy.options(self.settings(**changes)), *words
        )

    def config(self, text):
        """A settings file with that text."""
        handle, path = tempfile.mkstemp(prefix="tlspost-e2e-", suffix=".toml")
        self.addCleanup(os.unlink, path)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    # The command line.

    def test_unknown_option(self):
        self.refuses("--no_such_setting", no_such_setting="1")

    def test_misspelt_option(self):
        self.refuses("--tls_cert_fil", "tls_cert_file", tls_cert_fil="x.pem")

    def test_unknown_command(self):
        self.assert_refuses(["frobnicate"], "frobnicate")

    def test_wrong_types(self):
        for name, value in (
            ("workers", "many"),
            ("command_timeout", "soon"),
            ("command_timeout", "30"),
            ("message_size_limit", "big"),
            ("tls_security_level", "perhaps"),
            ("tls_strict_key_permissions", "maybe"),
            ("bare_newline", "ignore"),
            ("workers", "-1"),
        ):
            with self.subTest(name, value=value):
                self.refuses("--" + name, value, **{name: value})

    def test_bad_addresses(self):
        for name in ("listen", "backend"):
            for value in (
                "127.0.0.1",
                "127.0.0.1:port",
                "127.0.0.1:99999",
                "",
            ):
                with self.subTest(name, value=value):
                    self.refuses(name, **{name: value})

    # Certificate and key.

    def test_missing_files(self):
        for name in ("tls_cert_file", "tls_key_file"):
            with self.subTest(name):
                self.refuses(
                    "/nowhere/file.pem", **{name: "/nowhere/file.pem"}
                )

    def test_garbage_instead_of_pem(self):
        garbage = self.certificates.path("garbage.pem")
        for name in ("tls_cert_file", "tls_key_file"):
            with self.subTest(name):
                self.refuses(garbage, "PEM", **{name: garbage})

    def test_key_of_another_certificate(self):
        other = self.certificates.path("other.key")
        self.refuses(
            other, self.certificates.path("rsa.chain.pem"), tls_key_file=other
        )

    def test_key_with_a_passphrase(self):
        encrypted = self.certificates.path("encrypted.key")
        self.refuses(
            encrypted, "passphrase", "openssl", tls_key_file=encrypted
        )

    def test_chain_in_the_wrong_order(self):
        chain = self.certificates.path("wrong-order.pem")
        with open(chain, "w", encoding="ascii") as file:
            for part in ("intermediate.pem", "rsa.pem"):
                with open(
                    self.certificates.path(part), encoding="ascii"
                ) as source:
                    file.write(source.read())
        self.refuses(chain, "first", tls_cert_file=chain)

    def test_key_that_everybody_may_read(self):
        key = self.certificates.path("world-readable.key")
        self.refuses(
            key,
            "chmod 600",
            tls_key_file=key,
            tls_strict_key_permissions="yes",
        )
        running = self.start_proxy("127.0.0.1:1", tls_key_file=key)
        warning = running.wait_for_log(r"(?i)^.*warning.*$").group()
        self.assertIn(key, warning)
        self.assertIn("chmod 600", warning)

    def test_directory_instead_of_a_file(self):
        self.refuses(
            self.certificates.folder, tls_cert_file=self.certificates.folder
        )

    # The network.

    def test_busy_port(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            address = "127.0.0.1:%d" % other.getsockname()[1]
            self.refuses(address, "use", listen=address)

    def test_port_of_another_tlspost(self):
        """Workers share the port; two instances must not."""
        running = self.start_proxy("127.0.0.1:1")
        address = "127.0.0.1:%d" % running.port
        self.refuses(address, "use", listen=address)

    def test_backend_is_ourselves(self):
        port = util.free_port()
        for listen, backend in (
            ("127.0.0.1", "127.0.0.1"),
            ("127.0.0.1", "localhost"),
            ("0.0.0.0", "127.0.0.1"),
            ("[::]", "127.0.0.1"),
        ):
            with self.subTest(listen=listen, backend=backend):
                self.refuses(
                    "backend: %s:%d is this tlspost itself" % (backend, port),
                    "set backend to the mail server's own address",
                    listen="%s:%d" % (listen, port),
                    backend="%s:%d" % (backend, port),
                )

    def test_address_of_another_machine(self):
        self.refuses("192.0.2.1:2525", listen="192.0.2.1:2525")

    def test_backend_that_does_not_resolve(self):
        self.refuses("backend.invalid", backend="backend.invalid:25")

    # The machine.

    def test_E110_no_io_uring_where_nothing_else_will_do(self):
        """As in a container whose runtime forbids or hides it."""
        for error in (errno.EPERM, errno.ENOSYS):
            with self.subTest(errno.errorcode[error]):
                self.assert_refuses(
                    proxy.options(self.settings(io_engine="io_uring")),
                    "io_engine: io_uring cannot be used",
                    os.strerror(error),
                    "seccomp",
                    "allow io_uring_setup",
                    preexec_fn=seccomp.refuse(seccomp.IO_URING_SETUP, error),
                )

    # The settings file.

    def test_settings_file_is_missing(self):
        self.assert_refuses(
            ["--config=/nowhere/tlspost.toml"], "/nowhere/tlspost.toml"
        )

    def test_unknown_key(self):
        path = self.config('hostname = "mx.test"\n\ntls_cert_fiel = "x.pem"\n')
        self.assert_refuses(
            ["--config=" + path], path + ":3", "tls_cert_fiel", "tls_cert_file"
        )

    def test_wrong_type_of_a_key(self):
        for line in (
            'workers = "many"',
            "command_timeout = 30",
            "listen = 25",
            "tls_security_level = true",
            "hostname = [1]",
        ):
            with self.subTest(line):
                path = self.config("# a comment\n%s\n" % line)
                self.assert_refuses(
                    ["--config=" + path], path + ":2", line.partition(" ")[0]
                )

    def test_no_toml(self):
        path = self.config('hostname = "mx.test"\nthis is no TOML\n')
        self.assert_refuses(["--config=" + path], path + ":2")

    # And what is right.

    def test_help(self):
        result = proxy.run("--help")
        self.assertEqual(result.returncode, 0, result.stderr)
        for word in (
            "--tls_cert_file",
            "--backend_max_connections",
            "--config",
            "tlspost demo",
        ):
            self.assertIn(word, result.stdout)


class SettingsFileTest(case.PostfixCase):
    def config_text(self, port, **changes):
        settings = proxy.settings_for(
            port, self.postfix.backend("reuse"), self.certificates, **changes
        )
        return "".join(
            "%s = %s\n"
            % (name, value if isinstance(value, int) else '"%s"' % value)
            for name, value in settings.items()
            if value is not None
        )

    def launch_with(self, text, *more):
        handle, path = tempfile.mkstemp(prefix="tlspost-e2e-", suffix=".toml")
        self.addCleanup(os.unlink, path)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        return self.launch(
            ["serve", "--config=" + path] + list(more), self.port
        )

    def setUp(self):
        super().setUp()
        self.port = case.util.free_port()

    def test_everything_in_the_file(self):
        running = self.launch_with(self.config_text(self.port))
        client = self.tls_session(running)
        self.assert_delivers(client)
        client.quit()

    def test_lists_and_comments(self):
        second = case.util.free_port()
        text = (
            "# Two addresses\n"
            + self.config_text(self.port, listen=None)
            + (
                'listen = ["127.0.0.1:%d", "127.0.0.1:%d"]\n'
                % (self.port, second)
            )
        )
        running = self.launch_with(text)
        self.assert_delivers(self.tls_session(running), "one@sender.test")
        running.port = second
        self.assert_delivers(self.tls_session(running), "two@sender.test")

    def test_command_line_wins(self):
        running = self.launch_with(
            self.config_text(
                self.port, hostname="file.test", command_timeout="1s"
            ),
            "--hostname=mx.test",
            "--command_timeout=30s",
        )
        client = self.tls_session(running)
        self.assertIn("mx.test", client.greeting.text)
        self.assert_delivers(client)
