"""What the tests of `tlspost check` share: its findings, read from its JSON."""

import json

import case
import proxy
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
