"""`tlspost check` on settings and on the machine."""

import errno
import os
import shutil
import socket
import tempfile

import checkcase
import proxy
import seccomp
import util


class CheckMachineTest(checkcase.CheckCase):
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

    def test_what_else_a_start_takes(self):
        """Whatever ends the start is found before."""
        self.assert_found(
            self.check(control_socket="/nowhere/control"),
            "FAIL",
            "control_socket",
            "/nowhere/control cannot be made: No such file or directory",
        )
        self.assert_found(
            self.check(dns_servers="nonsense"), "WARN", "dns_servers", "nonsense"
        )
        self.assert_found(
            self.check(dns_servers="nonsense", peername_lookup="yes"),
            "FAIL",
            "dns_servers",
            "nonsense",
        )
        for listen, admin in (
            ("0.0.0.0", "127.0.0.1"),
            ("127.0.0.1", "127.0.0.1"),
            ("[::]", "127.0.0.1"),
        ):
            port = util.free_port()
            self.assert_found(
                self.check(
                    listen="%s:%d" % (listen, port),
                    admin_listen="%s:%d" % (admin, port),
                ),
                "FAIL",
                "admin_listen 127.0.0.1:%d" % port,
                "is where clients come to",
            )
        self.assert_found(
            self.check(admin_listen="127.0.0.1:%d" % util.free_port()),
            "OK",
            "admin_listen",
            "free",
        )

    def test_log_daemon(self):
        if os.path.exists("/run/systemd/journal/socket"):
            self.skipTest("a journal listens here")
        self.assert_found(
            self.check(log_to="journal"),
            "FAIL",
            "log_to",
            "nobody listens at /run/systemd/journal/socket",
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


class CheckSettingsTest(checkcase.CheckCase):
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
