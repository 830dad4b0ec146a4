"""`tlspost check` on every kind of backend; nothing is delivered."""

import re

import case
import checkcase
import proxy
import util


class CheckBackendTest(checkcase.CheckCase, case.PostfixCase):
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
