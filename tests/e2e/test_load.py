"""tlspost-load and tlspost-sink: the verification proves what it says.

Both run from the build that the tested tlspost comes from.
"""

import contextlib
import errno
import json
import os
import re
import signal
import subprocess
import tempfile
import unittest

import case
import proxy
import seccomp
import util

_SECONDS = 80


def _tool(name):
    """Path of an instrument beside the binary under test."""
    build = os.path.dirname(os.path.dirname(proxy.binary))
    path = os.path.join(build, "bench", name)
    if not os.access(path, os.X_OK):
        raise unittest.SkipTest(
            "%s is not built; configure with -DTLSPOST_BUILD_BENCH=ON" % path
        )
    return path


class _Sink:
    """A running tlspost-sink."""

    def __init__(self, *options, preexec_fn=None):
        self.process = subprocess.Popen(
            [
                _tool("tlspost-sink"),
                "--listen=127.0.0.1:0",
                "--control=127.0.0.1:0",
            ]
            + list(options),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=proxy.environment(),
            preexec_fn=preexec_fn,
            text=True,
        )
        line = self.process.stdout.readline()
        match = re.search(r"mail on (\S+) and tells of it on (\S+)", line)
        assert match, "tlspost-sink said: %r" % line
        self.address, self.control = match.groups()

    def stop(self):
        """Ends it as Ctrl-C does; returns what it said at the end."""
        self.process.send_signal(signal.SIGINT)
        text = self.process.communicate(timeout=80)[0]
        assert self.process.returncode == 0, text
        return text

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


class LoadTest(case.Case):
    seconds = 200
    preexec_fn = None  # of both instruments

    @contextlib.contextmanager
    def sink(self, *options):
        running = _Sink(*options, preexec_fn=self.preexec_fn)
        try:
            yield running
        finally:
            running.kill()

    def load(self, server, sink, *options):
        """Runs tlspost-load to its end: (exit status, JSON, text)."""
        with tempfile.TemporaryDirectory() as folder:
            results = os.path.join(folder, "results.json")
            done = subprocess.run(
                [
                    _tool("tlspost-load"),
                    "--server=127.0.0.1:%d" % server,
                    "--verify=" + sink.control,
                    "--json=" + results,
                    "--quiet",
                ]
                + list(options),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=proxy.environment(),
                preexec_fn=self.preexec_fn,
                timeout=_SECONDS,
                text=True,
            )
            self.assertTrue(os.path.exists(results), done.stdout)
            with open(results, encoding="utf-8") as file:
                return done.returncode, json.load(file), done.stdout

    def load_through_proxy(self, sink_options, *options, **settings):
        with self.sink(*sink_options) as sink:
            running = self.start_proxy(sink.address, **settings)
            result = self.load(running.port, sink, *options)
            running.stop()
            self.proxies.remove(running)
            running.forget()
            self.assertRegex(sink.stop(), r"\d+ messages for \d+ recipients")
        return result

    def await_chunking(self, running):
        """Right after the start EHLO may not offer CHUNKING yet."""
        with contextlib.closing(self.plain_session(running)) as client:

            def known():
                client.ehlo("client.test")
                return "CHUNKING" in client.extensions

            util.wait_until(known, 10, "CHUNKING in the EHLO reply")

    def test_messages_through_starttls_are_proved(self):
        status, results, text = self.load_through_proxy(
            ["--workers=2"],
            "--count=300",
            "--messages=5",
            "--clients=20",
            "--threads=2",
            "--recipients=2",
            "--pipelining",
            "--sources=10",
            "--size=uniform:1k:30k",
        )
        self.assertEqual(status, 0, text)
        self.assertEqual(results["verify"]["accepted"], 300, text)
        self.assertTrue(results["verify"]["ok"], text)
        self.assertIn("TLSv1.3", results["tls"])
        self.assertEqual(results["phases"]["content"]["count"], 300)
        self.assertEqual(results["phases"]["rcpt"]["count"], 600)
        self.assertIn("each accepted message was taken once", text)

    def test_both_do_without_io_uring(self):
        self.preexec_fn = seccomp.refuse(seccomp.IO_URING_SETUP, errno.EPERM)
        status, results, text = self.load_through_proxy(
            ["--workers=2"],
            "--count=60",
            "--messages=3",
            "--clients=10",
            "--threads=2",
        )
        self.assertEqual(status, 0, text)
        self.assertEqual(results["verify"]["accepted"], 60, text)

    def test_bdat_and_resumption_over_implicit_tls_are_proved(self):
        with self.sink() as sink:
            port = util.free_port()
            running = self.start_proxy(
                sink.address,
                listen_tls="127.0.0.1:%d" % port,
                workers=1,
            )
            self.await_chunking(running)
            status, results, text = self.load(
                port,
                sink,
                "--tls=implicit",
                "--tls-version=1.2",
                "--resume",
                "--bdat",
                "--chunk-size=2000",
                "--count=60",
                "--messages=3",
                "--clients=4",
            )
        self.assertEqual(status, 0, text)
        self.assertEqual(results["verify"]["accepted"], 60, text)
        self.assertIn("TLSv1.2", results["tls"])
        # All but the first session of each client.
        self.assertEqual(
            results["resumed"], results["handshakes"] - 4, text
        )

    def test_chunks_that_follow_their_envelope_at_once_are_proved(self):
        with self.sink("--fault=RCPT:reject=450:7") as sink:
            running = self.start_proxy(sink.address, workers=1)
            self.await_chunking(running)
            status, results, text = self.load(
                running.port,
                sink,
                "--pipelining",
                "--bdat",
                "--chunk-size=1500",
                "--count=60",
                "--messages=3",
                "--clients=4",
                "--warm-up=1ms",
            )
        self.assertEqual(results["verify"]["accepted"], 60 - 60 // 7, text)
        self.assertEqual(results["verify"]["refused"], 60 // 7, text)
        self.assertTrue(results["verify"]["ok"], text)
        # Refusals are errors of the run.
        self.assertEqual(status, 1, text)

    def test_refusals_are_counted_and_prove_nothing_wrong(self):
        status, results, text = self.load_through_proxy(
            ["--fault=RCPT:reject=450:5"],
            "--count=100",
            "--messages=10",
            "--clients=2",
            workers=1,
        )
        self.assertEqual(status, 1, text)
        kinds = {each["kind"]: each["count"] for each in results["errors"]}
        self.assertEqual(kinds, {"rcpt 450": 20}, text)
        self.assertEqual(results["verify"]["accepted"], 80, text)
        self.assertEqual(results["verify"]["refused"], 20, text)
        self.assertTrue(results["verify"]["ok"], text)

    def test_a_planted_fault_is_found(self):
        for fault, verdict in (
            ("lose", "lost"),
            ("double", "doubled"),
            ("change", "changed"),
        ):
            with self.subTest(fault=fault):
                status, results, text = self.load_through_proxy(
                    ["--fault=MESSAGE:%s:40" % fault],
                    "--count=100",
                    "--messages=10",
                    "--clients=5",
                    workers=1,
                )
                self.assertEqual(status, 1, text)
                self.assertFalse(results["verify"]["ok"], text)
                self.assertEqual(results["verify"][verdict], 2, text)
                self.assertEqual(results["error_count"], 0, text)
                self.assertIn("FAULTS: 2 " + verdict, text)

    def test_a_reply_lost_by_the_sink_is_unsure_and_no_fault(self):
        status, results, text = self.load_through_proxy(
            ["--fault=END:drop:25"],
            "--count=100",
            "--messages=10",
            "--clients=2",
            workers=1,
        )
        self.assertEqual(status, 1, text)
        self.assertEqual(results["verify"]["unsure"], 4, text)
        self.assertTrue(results["verify"]["ok"], text)

    def test_a_stall_shows_in_full_in_an_open_loop(self):
        # The end of every tenth waits half a second; what is due meanwhile
        # counts from when it was due.
        status, results, text = self.load_through_proxy(
            ["--fault=END:delay=500ms:10"],
            "--count=40",
            "--messages=1000",
            "--clients=1",
            "--rate=100",
            workers=1,
        )
        self.assertEqual(status, 0, text)
        phases = results["phases"]
        self.assertGreater(phases["message"]["p50_us"], 400000, text)
        self.assertLess(phases["content"]["p50_us"], 400000, text)

    def test_says_what_is_wrong_with_the_call(self):
        for arguments, status, words in (
            (["--server=192.0.2.1:25"], 2, "--allow-remote"),
            (["--clients=0"], 2, "--clients: must be from 1 to 100000"),
            (["--verify=127.0.0.1:1"], 1, "--verify=127.0.0.1:1: "),
            (["--size=big"], 2, "--size: "),
        ):
            with self.subTest(arguments=arguments):
                done = subprocess.run(
                    [_tool("tlspost-load")] + arguments,
                    capture_output=True,
                    env=proxy.environment(),
                    timeout=20,
                    text=True,
                )
                self.assertEqual(done.returncode, status, done.stderr)
                self.assertRegex(done.stderr, r"^tlspost-load: [^\n]+\n$")
                self.assertIn(words, done.stderr)
                self.assertEqual(done.stdout, "")

    def test_sink_says_what_is_wrong_with_the_call(self):
        done = subprocess.run(
            [_tool("tlspost-sink"), "--fault=MAIL:explode"],
            capture_output=True,
            env=proxy.environment(),
            timeout=20,
            text=True,
        )
        self.assertEqual(done.returncode, 1)
        self.assertIn('"MAIL:explode" is no fault', done.stderr)
