"""tlspost trace: the live dialogue of chosen clients."""

import base64
import os
import re
import signal
import subprocess
import tempfile
import threading
import time

import case
import dovecot_auth
import proxy

_USER, _PASSWORD = next(iter(dovecot_auth.USERS.items()))


class Trace:
    """`tlspost trace` at work; what it has printed so far."""

    def __init__(self, socket, *networks):
        self.process = subprocess.Popen(
            [proxy.binary, "trace", "--control_socket=" + socket]
            + list(networks),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=proxy.environment(),
            preexec_fn=proxy.dies_with_us,
        )
        self.said = self.process.stderr.readline()
        self.lines = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def wait_for(self, pattern, timeout=10):
        """The lines, once one of them matches."""
        end = time.monotonic() + timeout
        while not any(re.search(pattern, line) for line in self.lines):
            if time.monotonic() > end:
                raise AssertionError(
                    "no line %r in:\n%s" % (pattern, "\n".join(self.lines))
                )
            time.sleep(0.05)
        return list(self.lines)

    def end(self, how=signal.SIGTERM):
        """Its exit status, and what else it said on stderr."""
        if how is not None:
            self.process.send_signal(how)
        said = self.process.stderr.read()
        status = self.process.wait(timeout=20)
        self._reader.join()
        self.process.stdout.close()
        self.process.stderr.close()
        return status, said


class TraceTest(case.PostfixCase):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix="tlspost-e2e-")
        self.addCleanup(folder.cleanup)
        self.socket = os.path.join(folder.name, "control")

    def serve(self, listener="reuse", **changes):
        return self.start_learned_proxy(
            listener, control_socket=self.socket, **changes
        )

    def trace(self, *networks):
        trace = Trace(self.socket, *networks)
        self.addCleanup(
            lambda: trace.process.poll() is None and trace.process.kill()
        )
        return trace

    def test_the_dialogue_of_those_in_the_network_alone(self):
        running = self.serve()
        trace = self.trace("127.0.0.3", "127.0.4.0/24")
        self.assertIn(
            "trace: clients in 127.0.0.3 127.0.4.0/24; Ctrl-C", trace.said
        )
        chosen = self.tls_session(running, source="127.0.0.3")
        other = self.tls_session(running, source="127.0.0.4")
        also = self.plain_session(running, source="127.0.4.77")
        other.deliver(
            "other@sender.test", ["r@recipient.test"], b"Subject: o\r\n"
        )
        chosen.deliver(
            "chosen@sender.test",
            ["r@recipient.test"],
            b"Subject: body-of-the-message\r\n",
        )
        chosen.command("PASS what-is-this")
        also.command("NOOP")
        chosen.quit()
        lines = trace.wait_for(r"S: 221 ")
        status, said = trace.end()
        self.assertEqual((status, said), (-signal.SIGTERM, ""))
        text = "\n".join(lines)
        for line in lines:
            self.assertRegex(
                line,
                r"^\d\d:\d\d:\d\d\.\d{3} \[?127\.0\.(0\.3|4\.77)\]?:\d+"
                r" ([CS]: .*|\(.*\))$",
            )
        self.assertRegex(text, r"127\.0\.0\.3:\d+ \(TLSv1\.3 with cipher TLS_")
        self.assertRegex(text, r"127\.0\.0\.3:\d+ C: MAIL FROM:<chosen@")
        self.assertRegex(text, r"127\.0\.0\.3:\d+ S: 250 2\.1\.0 Ok")
        self.assertRegex(text, r"127\.0\.0\.3:\d+ S: 354 ")
        self.assertRegex(text, r"127\.0\.0\.3:\d+ S: 250 2\.0\.0 Ok: queued")
        self.assertRegex(text, r"127\.0\.4\.77:\d+ C: NOOP")
        self.assertNotIn("body-of-the-message", text)
        self.assertNotIn("other@sender.test", text)
        self.assertNotIn("what-is-this", text)

    def test_passwords_are_masked(self):
        running = self.serve("sasl")
        trace = self.trace("127.0.0.0/8")
        plain = base64.b64encode(
            ("\0%s\0%s" % (_USER, _PASSWORD)).encode()
        ).decode()
        first = self.tls_session(running)
        self.assert_reply(first.command("AUTH PLAIN " + plain), 235)
        first.quit()
        second = self.tls_session(running)
        self.assert_reply(second.command("AUTH LOGIN"), 334)
        user = base64.b64encode(_USER.encode()).decode()
        password = base64.b64encode(_PASSWORD.encode()).decode()
        self.assert_reply(second.command(user), 334)
        self.assert_reply(second.command(password), 235)
        second.command("NOOP the-end")
        text = "\n".join(trace.wait_for("C: NOOP the-end"))
        trace.end()
        self.assertIn("C: AUTH PLAIN ***", text)
        self.assertIn("C: AUTH LOGIN", text)
        self.assertIn("S: 334 ***", text)
        self.assertEqual(text.count("C: ***"), 2)
        for secret in (plain, user, password, _PASSWORD):
            self.assertNotIn(secret, text)

    def test_a_reader_that_stops_holds_up_nobody(self):
        running = self.serve(
            hard_error_limit=100000, junk_command_limit=100000
        )
        trace = self.trace("127.0.0.0/8")
        trace.process.send_signal(signal.SIGSTOP)
        client = self.tls_session(running)
        # More than a pipe and a socket and the queue of the trace hold.
        for _ in range(200):
            client.send(b"NOOP " + b"x" * 400 + b"\r\n")
            client.send(b"NOOP\r\n" * 50)
            for _ in range(51):
                self.assert_reply(client.reply(), 250)
        trace.process.send_signal(signal.SIGCONT)
        trace.wait_for(r"^\(\d+ lines were dropped here")
        trace.end()

    def test_wrong_words(self):
        self.serve()
        for words, said in (
            ((), "name the clients to trace"),
            (("nonsense",), "nonsense"),
            (("127.0.0.1/33",), "127.0.0.1/33"),
        ):
            trace = self.trace(*words)
            status, more = trace.end(how=None)
            self.assertEqual(status, 1)
            self.assertEqual(more, "")
            self.assertIn("tlspost: trace: ", trace.said)
            self.assertIn(said, trace.said)

    def test_the_fifth_has_to_wait(self):
        self.serve()
        traces = [self.trace("127.0.0.1") for _ in range(4)]
        fifth = self.trace("127.0.0.1")
        self.assertIn("4 traces are under way already", fifth.said)
        self.assertEqual(fifth.end(how=None)[0], 1)
        for trace in traces:
            trace.end()

        def one_more():
            again = self.trace("127.0.0.1")
            begun = "Ctrl-C" in again.said
            again.end(how=signal.SIGTERM if begun else None)
            return begun

        # Gone is noticed when the next lines would be written.
        end = time.monotonic() + 10
        while not one_more():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.1)

    def test_ends_with_the_server(self):
        running = self.serve()
        trace = self.trace("127.0.0.1")
        running.stop()
        status, said = trace.end(how=None)
        self.assertEqual(status, 1)
        self.assertIn("tlspost has ended it", said)

    def test_without_a_control_socket(self):
        result = proxy.run("trace", "--control_socket=", "127.0.0.1")
        self.assertEqual(result.returncode, 1)
        self.assertIn("there is no control_socket to ask", result.stderr)
