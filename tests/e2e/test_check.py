"""`tlspost check`: what it finds, and that OpenSSL's own command agrees."""

import errno
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile

import case
import debian
import proxy
import seccomp
import util


class CheckCase(case.Case):
    """Runs the check; findings are (verdict, thing, text)."""

    # What is trusted is up to the test, not to the machine.
    def variables(self):
        return {
            "SSL_CERT_FILE": self.certificates.path("root.pem"),
            "SSL_CERT_DIR": self.certificates.path("nowhere"),
        }

    def check(self, *more, preexec_fn=None, **changes):
        """The findings with these settings; see self.status, self.output."""
        settings = proxy.settings_for(
            util.free_port(),
            changes.pop("backend", "127.0.0.1:1"),
            self.certificates,
            **changes,
        )
        result = proxy.run(
            "check",
            "--json",
            *proxy.options(settings),
            *more,
            timeout=120,
            preexec_fn=preexec_fn,
            variables=self.variables(),
        )
        self.assertEqual(result.stderr, "")
        self.status, self.output = result.returncode, result.stdout
        report = json.loads(result.stdout)
        findings = report["findings"]
        for verdict in ("OK", "NOTE", "WARN", "FAIL"):
            self.assertEqual(
                report[verdict.lower()],
                sum(each["verdict"] == verdict for each in findings),
            )
        self.assertEqual(self.status, 1 if report["fail"] else 0, self.output)
        return [
            (each["verdict"], each["thing"], each["text"]) for each in findings
        ]

    def assert_found(self, findings, verdict, thing, *words):
        """One finding has that verdict, and these in its thing and text."""
        for found, its_thing, text in findings:
            if (
                found == verdict
                and thing in its_thing
                and all(word in text for word in words)
            ):
                return text
        self.fail(
            "no %s of %r with %s in:\n%s"
            % (verdict, thing, words, "\n".join(map(str, findings)))
        )

    def assert_silent(self, findings, verdict, thing):
        self.assertEqual(
            [
                each
                for each in findings
                if each[0] == verdict and thing in each[1]
            ],
            [],
        )


class CheckCertificatesTest(CheckCase):
    def openssl_verify(self, path):
        """What the how-to's command says: "", or its first error."""
        program, environment = debian.program("openssl")
        result = subprocess.run(
            [
                program,
                "verify",
                "-purpose",
                "sslserver",
                "-untrusted",
                path,
                path,
            ],
            env={**(environment or os.environ), **self.variables()},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        if result.returncode == 0:
            self.assertIn("%s: OK" % path, result.stdout)
            return ""
        output = result.stdout + result.stderr
        error = re.search(
            r"^error (\d+) at (\d+) depth lookup: (.*)$", output, re.MULTILINE
        )
        self.assertIsNotNone(error, output)
        # OpenSSL 3.2 and newer print names without the blanks.
        subject = re.sub(
            r" ?= ?", " = ", output[: error.start()].splitlines()[-1]
        )
        return "%s (OpenSSL's error %s at depth %s, %s)" % (
            error.group(3),
            error.group(1),
            error.group(2),
            subject.strip(),
        )

    def chain(self, name, *parts):
        """The path of a file with these certificates."""
        path = self.certificates.path(name)
        with open(path, "wb") as file:
            for part in parts:
                with open(self.certificates.path(part), "rb") as source:
                    file.write(source.read())
        os.chmod(path, 0o600)
        return path

    def chains(self):
        """{title: (file, key's name)}: good ones and all kinds of bad ones."""
        issue = self.certificates.issue
        issue("check-expired", days=(-9, -2))
        issue("check-future", days=(2, 9))
        issue("check-client", use="client")
        issue("check-authority", use="authority")
        issue("check-own", issuer=None)
        issue("check-own-root", use="authority", issuer=None)
        issue("check-by-own-root", issuer="check-own-root")
        issue("check-by-leaf", issuer="ecdsa")
        issue("check-old-middle", use="authority", issuer="root", days=(-9, -2))
        issue("check-by-old-middle", issuer="check-old-middle")
        issue("check-second", use="authority")
        issue("check-by-second", issuer="check-second")
        path = self.certificates.path
        return {
            "good, RSA": (path("rsa.chain.pem"), "rsa"),
            "good, ECDSA": (path("ecdsa.chain.pem"), "ecdsa"),
            "with its root": (
                self.chain(
                    "c1.pem", "rsa.pem", "intermediate.pem", "root.pem"
                ),
                "rsa",
            ),
            "missing intermediate": (path("rsa.pem"), "rsa"),
            "wrong order": (
                self.chain(
                    "c2.pem",
                    "check-by-second.pem",
                    "intermediate.pem",
                    "check-second.pem",
                ),
                "check-by-second",
            ),
            "something else in it": (
                self.chain(
                    "c3.pem", "rsa.pem", "intermediate.pem", "check-own.pem"
                ),
                "rsa",
            ),
            "expired": (path("check-expired.chain.pem"), "check-expired"),
            "not valid yet": (path("check-future.chain.pem"), "check-future"),
            "for clients only": (
                path("check-client.chain.pem"),
                "check-client",
            ),
            "CA:TRUE": (path("check-authority.chain.pem"), "check-authority"),
            "self-signed": (path("check-own.pem"), "check-own"),
            "self-signed root in it": (
                path("check-by-own-root.chain.pem"),
                "check-by-own-root",
            ),
            "unknown root": (
                path("check-by-own-root.pem"),
                "check-by-own-root",
            ),
            "issued by a server": (
                self.chain(
                    "c4.pem", "check-by-leaf.pem", "ecdsa.pem",
                    "intermediate.pem",
                ),
                "check-by-leaf",
            ),
            "expired intermediate": (
                path("check-by-old-middle.chain.pem"),
                "check-by-old-middle",
            ),
        }

    def test_verdict_is_that_of_openssl_verify(self):
        bad = 0
        for title, (path, key) in self.chains().items():
            with self.subTest(title):
                wanted = self.openssl_verify(path)
                bad += bool(wanted)
                findings = self.check(
                    tls_cert_file=path,
                    tls_key_file=self.certificates.path(key + ".key"),
                )
                if not wanted:
                    self.assertIn(("OK", path, "OK"), findings)
                    self.assert_silent(findings, "FAIL", path)
                    continue
                self.assertNotIn(("OK", path, "OK"), findings)
                verdict = "WARN" if "self-signed" in title else "FAIL"
                text = self.assert_found(findings, verdict, path, wanted)
                self.assertRegex(text, r"\); \w+")  # and the remedy
        self.assertEqual(bad, 10)

    def test_order_and_names(self):
        path, _ = self.chains()["wrong order"]
        self.assert_found(
            self.check(tls_cert_file=path),
            "WARN",
            path,
            "certificate 2",
            "directly behind",
        )
        path, _ = self.chains()["something else in it"]
        self.assert_found(
            self.check(tls_cert_file=path), "WARN", path, "take it out"
        )
        path = self.certificates.path("rsa.chain.pem")
        self.assert_silent(self.check(), "WARN", path)
        self.assert_found(
            self.check(hostname="other.test"),
            "WARN",
            path,
            "mx.test",
            "other.test",
        )

    def test_days_left(self):
        path = self.certificates.path("rsa.chain.pem")
        self.assert_found(
            self.check(), "OK", path, "RSA, made out to mx.test, 1 day left"
        )
        self.certificates.issue("check-soon", days=(-80, 2))
        soon = self.certificates.path("check-soon.chain.pem")
        self.assert_found(
            self.check(
                tls_cert_file=soon,
                tls_key_file=self.certificates.path("check-soon.key"),
            ),
            "WARN",
            soon,
            " left; renew it",
        )

    def test_keys(self):
        path = self.certificates.path
        self.assert_found(
            self.check(), "OK", path("rsa.key"), "belongs", "no passphrase"
        )
        for key, words in (
            ("other.key", ("does not belong",)),
            ("encrypted.key", ("passphrase", "openssl pkey")),
            ("garbage.pem", ("is not PEM",)),
            ("nowhere.key", ("does not exist",)),
        ):
            with self.subTest(key):
                findings = self.check(tls_key_file=path(key))
                self.assert_found(findings, "FAIL", "tls_key_file", *words)
                # And the chain is judged all the same.
                self.assertIn(("OK", path("rsa.chain.pem"), "OK"), findings)

    def test_key_through_links(self):
        """As certbot has it: live/ holds links into archive/."""
        top = tempfile.mkdtemp(prefix="tlspost-e2e-")
        self.addCleanup(shutil.rmtree, top)
        archive, live = os.path.join(top, "archive"), os.path.join(top, "live")
        os.mkdir(archive, 0o700)
        os.mkdir(live, 0o700)
        target = os.path.join(archive, "privkey1.pem")
        link = os.path.join(live, "privkey.pem")
        shutil.copy(self.certificates.path("rsa.key"), target)
        os.symlink("../archive/privkey1.pem", link)
        os.chmod(target, 0o600)
        self.assert_silent(
            self.check(tls_key_file=link), "WARN", "tls_key_file"
        )
        os.chmod(target, 0o644)
        self.assert_found(
            self.check(tls_key_file=link),
            "WARN",
            "tls_key_file",
            "chmod 600 " + target,
        )
        self.assert_found(
            self.check(tls_key_file=link, tls_strict_key_permissions="yes"),
            "FAIL",
            "tls_key_file",
            "chmod 600 " + target,
        )
        os.chmod(target, 0o600)
        os.chmod(archive, 0o777)
        self.assert_found(
            self.check(tls_key_file=link),
            "WARN",
            "tls_key_file",
            "chmod go-w " + archive,
        )

    def test_all_chain_files_and_the_sni_map(self):
        issue, path = self.certificates.issue, self.certificates.path
        issue("check-rsa", key="rsa")
        issue("check-ecdsa")
        issue("check-named", names="DNS:named.test", days=(-9, -2))
        sni = path("check-sni")
        with open(sni, "w", encoding="ascii") as file:
            file.write("named.test %s\n" % path("check-named.combined.pem"))
            file.write("wrong.test %s\n" % path("check-named.combined.pem"))
        findings = self.check(
            tls_cert_file=None,
            tls_key_file=None,
            tls_chain_files=[
                path("check-rsa.combined.pem"),
                path("check-ecdsa.combined.pem"),
            ],
            tls_server_sni_maps=sni,
        )
        for name in ("check-rsa", "check-ecdsa"):
            self.assertIn(
                ("OK", path(name + ".combined.pem"), "OK"), findings
            )
        self.assert_found(
            findings,
            "FAIL",
            path("check-named.combined.pem"),
            "certificate has expired",
        )
        self.assert_found(findings, "WARN", "TLS", "served as wrong.test")

    def test_authorities(self):
        path = self.certificates.path
        folder = path("check-authorities")
        os.makedirs(folder, exist_ok=True)
        shutil.copy(path("root.pem"), folder)
        bundle = self.chain("check-bundle.pem", "root.pem", "intermediate.pem")
        findings = self.check(
            tls_CAfile=bundle, tls_CApath=folder, tls_ask_ccert="yes"
        )
        self.assert_found(
            findings, "OK", "tls_CAfile", bundle + " holds 2 authorities"
        )
        self.assert_found(
            findings, "WARN", "tls_CApath", "openssl rehash " + folder
        )
        self.certificates.rehash(folder)
        self.assert_found(
            self.check(tls_CApath=folder),
            "OK",
            "tls_CApath",
            folder + " has 1 hash links",
        )
        self.assert_found(
            self.check(tls_CAfile="/nowhere.pem"),
            "FAIL",
            "tls_CAfile",
            "/nowhere.pem does not exist",
        )


class CheckMachineTest(CheckCase):
    def test_ports(self):
        findings = self.check()
        self.assert_found(findings, "OK", "listen 127.0.0.1:", "free")
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            address = "127.0.0.1:%d" % other.getsockname()[1]
            text = self.assert_found(
                self.check(listen=address),
                "FAIL",
                "listen " + address,
                "Address already in use",
            )
            self.assertIn("process %d)" % os.getpid(), text)

    def test_port_that_is_ours(self):
        running = self.start_proxy("127.0.0.1:1")
        self.assert_found(
            self.check(listen="127.0.0.1:%d" % running.port),
            "OK",
            "listen",
            "ours already: tlspost, process ",
        )

    def test_address_of_another_machine(self):
        self.assert_found(
            self.check(listen="192.0.2.1:2525"),
            "FAIL",
            "listen 192.0.2.1:2525",
            "no interface of this machine",
        )

    def test_twice(self):
        self.assert_found(
            self.check(listen=["127.0.0.1:2525", "127.0.0.1:2525"]),
            "FAIL",
            "listen",
            "is given twice",
        )

    def test_admin_page_for_everybody(self):
        self.assert_found(
            self.check(admin_listen="0.0.0.0:9925"),
            "FAIL",
            "admin_listen",
            "admin_allow_remote",
        )

    def test_io_engine(self):
        self.assert_found(
            self.check(),
            "OK",
            "io_engine",
            "io_uring, with a ring for each of 2 workers",
        )
        self.assert_found(
            self.check(io_engine="epoll"), "OK", "io_engine", "epoll"
        )
        for error in (errno.EPERM, errno.ENOSYS):
            for choice, verdict in (("auto", "WARN"), ("io_uring", "FAIL")):
                with self.subTest(errno.errorcode[error], io_engine=choice):
                    findings = self.check(
                        io_engine=choice,
                        preexec_fn=seccomp.refuse(
                            seccomp.IO_URING_SETUP, error
                        ),
                    )
                    self.assert_found(
                        findings,
                        verdict,
                        "io_engine",
                        os.strerror(error),
                        "seccomp",
                        "allow io_uring_setup",
                    )
                    # The backend is asked whatever the server may use.
                    self.assert_found(
                        findings, "FAIL", "backend", "Connection refused"
                    )

    def test_open_files(self):
        self.assert_found(
            self.check(max_connections=100), "OK", "open files", "100"
        )
        self.assert_found(
            self.check(max_connections=10000000),
            "WARN",
            "open files",
            "is lowered from 10000000",
            "LimitNOFILE",
        )

    def test_log_file(self):
        self.assert_found(
            self.check(log_file="/nowhere/tlspost.log"),
            "FAIL",
            "log_file",
            "/nowhere/",
        )
        folder = tempfile.mkdtemp(prefix="tlspost-e2e-")
        self.addCleanup(shutil.rmtree, folder)
        log = os.path.join(folder, "log")
        self.assert_found(self.check(log_file=log), "OK", "log_file", log)
        self.assertFalse(os.path.exists(log))  # it was only looked at


class CheckSettingsTest(CheckCase):
    def test_all_errors_at_once(self):
        findings = self.check(
            workers="many", tls_cert_fil="x.pem", command_timeout="30"
        )
        for word in ("--workers", "--tls_cert_fil", "--command_timeout"):
            self.assert_found(findings, "FAIL", "settings", word)
        findings = self.check(hostname="a b", backend="nowhere")
        self.assert_found(findings, "FAIL", "settings", "--hostname")
        self.assert_found(findings, "FAIL", "settings", "--backend")
        self.assert_found(findings, "NOTE", "settings", "nothing else")

    def test_encrypt_on_port_25(self):
        self.assert_found(
            self.check(listen="127.0.0.1:25", tls_security_level="encrypt"),
            "WARN",
            "settings",
            "RFC 3207",
        )

    def test_hostname_without_a_domain(self):
        self.assert_found(
            self.check(hostname="mx"), "WARN", "hostname", '"mx"'
        )

    def test_for_people(self):
        """One line for each finding, with the remedy, and their number."""
        result = proxy.run(
            "check",
            "--backend=127.0.0.1:1",
            "--listen=127.0.0.1:%d" % util.free_port(),
            timeout=60,
        )
        self.assertEqual(result.returncode, 1)
        lines = result.stdout.splitlines()
        for line in lines[:-1]:
            self.assertRegex(line, r"^(OK  |NOTE|WARN|FAIL)  \S.*: \S")
        self.assertRegex(
            lines[-1], r"^\d+ OK, \d+ NOTE, \d+ WARN, 1 FAIL$"
        )
        self.assertIn(
            "FAIL  backend 127.0.0.1:1: connect to 127.0.0.1:1: Connection "
            "refused; start the mail server, or correct backend\n",
            result.stdout,
        )


class CheckBackendTest(CheckCase, case.PostfixCase):
    asked = ()  # the listeners that were

    def check_listener(self, listener, **changes):
        self.asked += (listener,)
        return self.check(backend=self.postfix.backend(listener), **changes)

    def tearDown(self):
        # Whatever was asked, nothing was delivered, and every connection ended
        # with QUIT but those that were left in the middle of a message.
        self.assertEqual(self.postfix.messages(), [])
        # A late word on another test's client is in another listener's name.
        for listener in self.asked:
            lost = re.findall(
                r"postfix/%s/smtpd\[\d+\]: (?:\w+: )?(lost connection after .*)"
                % listener,
                self.postfix_log(),
            )
            for line in lost:
                self.assertRegex(line, r"^lost connection after DATA \(\d+ b")
        super().tearDown()

    def test_as_it_should_be(self):
        findings = self.check_listener("closed")
        backend = "backend " + self.postfix.backend("closed")
        for words in (
            ("220 backend.test ESMTP Postfix",),
            ("PIPELINING", "XCLIENT"),
            ("pipelined",),
            ("again and again",),
            ("does not relay for a client 192.0.2.1: 554 5.7.1",),
            ("bears 8 errors",),
            ("bears 32 commands",),
            ("takes no dot between bare LFs",),
        ):
            self.assert_found(findings, "OK", backend, *words)
        # A busy machine may be slow, and that is no fault of the backend.
        slow = [each for each in findings if "to answer EHLO" in each[2]]
        findings = [each for each in findings if each not in slow]
        for verdict in ("NOTE", "WARN", "FAIL"):
            self.assert_silent(findings, verdict, backend)
        self.assertEqual(self.status, 0)

    def test_strict_counts_warnings(self):
        arguments = proxy.options(
            proxy.settings_for(
                util.free_port(),
                self.postfix.backend("closed"),
                self.certificates,
                hostname="mx",
            )
        )
        for more, status in (([], 0), (["--strict"], 1)):
            result = proxy.run(
                "check",
                *arguments,
                *more,
                timeout=60,
                variables=self.variables(),
            )
            self.assertEqual(result.returncode, status, result.stdout)

    def test_open_relay(self):
        findings = self.check_listener("reuse")
        self.assert_found(
            findings,
            "FAIL",
            "backend",
            "<relay-test@",
            "from a client 192.0.2.1",
            "relays for anybody",
        )
        self.assertEqual(self.status, 1)

    def test_smuggling(self):
        self.assert_found(
            self.check_listener("reuse"),
            "WARN",
            "backend",
            "SMTP smuggling",
            "smtpd_forbid_bare_newline",
        )

    def test_one_xclient_per_connection(self):
        findings = self.check_listener("single")
        self.assert_found(
            findings,
            "WARN",
            "backend",
            "takes one XCLIENT per connection",
            "smtpd_authorized_xclient_hosts = 0.0.0.0/0, [::]/0",
        )

    def test_no_xclient(self):
        findings = self.check_listener("plain")
        self.assert_found(
            findings, "WARN", "backend", "does not offer XCLIENT"
        )
        self.assert_found(
            findings, "FAIL", "backend", "our own address", "through us"
        )
        findings = self.check_listener("plain", backend_identity="xclient")
        self.assert_found(
            findings, "FAIL", "backend", "backend_identity = xclient requires"
        )

    def test_xforward(self):
        findings = self.check_listener("xforward", backend_identity="xforward")
        self.assert_found(
            findings, "FAIL", "backend", "our own address", "through us"
        )
        findings = self.check_listener("closed", backend_identity="xforward")
        self.assert_found(
            findings, "FAIL", "backend", "does not offer XFORWARD"
        )
        self.assert_found(
            findings, "OK", "backend", "does not relay for our own address"
        )

    def test_proxy_header(self):
        findings = self.check_listener("haproxy", backend_identity="proxy")
        self.assert_found(findings, "OK", "backend", "reached in")
        self.assert_found(
            findings, "FAIL", "backend", "a client 192.0.2.1", "anybody"
        )

    def test_error_limits(self):
        """Postfix's defaults slow a client down at its tenth error."""
        findings = self.check_listener("strict", backend_max_errors=15)
        self.assert_found(
            findings,
            "WARN",
            "backend",
            "holds its replies back after",
            "smtpd_soft_error_limit",
        )
        findings = self.check_listener("strict")
        self.assert_found(findings, "OK", "backend", "bears 8 errors")

    def test_tls(self):
        findings = self.check(
            backend="localhost:%d" % self.postfix.ports["secure"],
            backend_tls_security_level="verify",
            backend_tls_CAfile=self.certificates.path("root.pem"),
        )
        self.assert_found(
            findings, "OK", "backend 127.0.0.1", "Verified TLS connection"
        )
        findings = self.check_listener(
            "closed", backend_tls_security_level="encrypt"
        )
        self.assert_found(
            findings, "FAIL", "backend", "does not offer STARTTLS"
        )

    def test_one_of_two_is_down(self):
        findings = self.check(
            backend=[self.postfix.backend("closed"), "127.0.0.1:1"]
        )
        self.assert_found(findings, "OK", "backend", "again and again")
        self.assert_found(
            findings, "FAIL", "backend 127.0.0.1:1", "Connection refused"
        )

    def test_E107_ipv6_clients_of_a_backend_without_ipv6(self):
        findings = self.check_listener(
            "closed", listen="[::1]:%d" % util.free_port()
        )
        self.assert_found(
            findings, "FAIL", "backend", "IPv6", "inet_protocols = all"
        )
