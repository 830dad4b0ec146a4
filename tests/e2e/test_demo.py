"""`tlspost demo` does its job with nothing to set up."""

import case
import proxy


class DemoTest(case.Case):
    def test_demo(self):
        result = proxy.run("demo", timeout=60)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        # The dialogue, and the message as the backend has it.
        for part in ("STARTTLS", "MAIL FROM:", "RCPT TO:", "Subject:"):
            self.assertIn(part, result.stdout)
        self.assertRegex(
            result.stdout,
            r"Received: from \S+ \(\S+ \[[\w.:]+\]\)[\s|]+"
            r"\(using TLSv1\.[23] with cipher \S+ \(\d+/\d+ bits\)",
        )
        self.assertRegex(result.stdout, r"with ESMTPS id \S+")
