"""SIGTERM lets transactions finish; a second one does not wait."""

import contextlib
import os
import socket
import subprocess
import time

import case
import proxy
import smtpclient
import util


class DrainTest(case.PostfixCase):
    both_engines = True
    def in_data(self, running, sender="drain@sender.test"):
        """A client that has sent half of a message."""
        client = self.tls_session(running)
        client.envelope(sender, ["r@recipient.test"])
        self.assert_reply(client.command("DATA"), 354)
        client.send(b"Subject: drain\r\n\r\nfirst half\r\n")
        return client

    def test_E109_idle_clients_hear_421_and_transactions_finish(self):
        running = self.start_proxy(drain_timeout="30s")
        idle = [
            self.tls_session(running),
            self.plain_session(running),
            self.connect(running),
        ]
        busy = self.in_data(running)
        running.terminate()
        for client in idle:
            self.assert_reply(client.reply(), 421, r"4\.3\.2")
            self.assertEqual(self.assert_closes(client, 5), b"")
        # Nobody is let in any more.
        with self.assertRaises((OSError, smtpclient.Closed)):
            reply = self.connect(running).greeting
            # Accepted by the kernel before the listener was closed.
            self.assertEqual(reply.code, 421)
            raise OSError("told 421")
        time.sleep(0.3)
        self.assertIsNone(
            running.process.poll(), "it did not wait for the transaction"
        )
        busy.send(b"second half\r\n.\r\n")
        self.assert_reply(busy.reply(), 250)
        rest = self.assert_closes(busy, 5)
        self.assertTrue(rest == b"" or rest.startswith(b"421 "), rest)
        self.assertEqual(running.wait(10), 0)
        message = self.only_message()
        self.assert_content(
            message, b"Subject: drain\r\n\r\nfirst half\r\nsecond half\r\n"
        )

    def test_transaction_before_data_finishes_too(self):
        running = self.start_proxy(drain_timeout="30s")
        client = self.tls_session(running)
        client.envelope("early@sender.test", ["r@recipient.test"])
        running.terminate()
        time.sleep(0.2)
        self.assert_reply(client.data(b"Subject: x\r\n\r\ny\r\n"), 250)
        self.assert_closes(client, 5)
        self.assertEqual(running.wait(10), 0)
        self.assertEqual(self.only_message().sender, "early@sender.test")

    def test_drain_ends_without_clients(self):
        running = self.start_proxy(drain_timeout="30s")
        started = time.monotonic()
        running.terminate()
        self.assertEqual(running.wait(10), 0)
        self.assertLess(time.monotonic() - started, 5)

    def test_drain_timeout(self):
        running = self.start_proxy(drain_timeout="1s")
        client = self.in_data(running)
        started = time.monotonic()
        running.terminate()
        self.assertEqual(running.wait(10), 0)
        elapsed = time.monotonic() - started
        self.assertGreater(elapsed, 0.9)
        self.assertLess(elapsed, 6)
        self.assert_closes(client, 5)
        self.assertEqual(self.postfix.messages(), [])

    def test_second_sigterm_exits_at_once(self):
        running = self.start_proxy(drain_timeout="60s")
        client = self.in_data(running)
        running.terminate()
        time.sleep(0.5)
        self.assertIsNone(running.process.poll())
        started = time.monotonic()
        running.terminate()
        running.wait(10)
        self.assertLess(time.monotonic() - started, 3)
        self.assert_closes(client, 5)
        self.assertEqual(self.postfix.messages(), [])
        running.check_sanitizers()
        self.proxies.remove(running)  # whatever status it ended with
        running.forget()

    @staticmethod
    def greets(port):
        with contextlib.suppress(OSError):
            with socket.create_connection(("127.0.0.1", port), 5) as peer:
                return peer.recv(4) == b"220 "
        return False

    def test_log_that_nobody_reads_does_not_hold_it_up(self):
        port = util.free_port()
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        os.set_blocking(writer, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writer, b"x" * 4096)
        os.set_blocking(writer, True)
        settings = proxy.settings_for(
            port, self.postfix.backend("reuse"), self.certificates
        )
        with subprocess.Popen(
            [proxy.binary] + proxy.options(settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=writer,
            env=proxy.environment(),
        ) as process:
            os.close(writer)
            try:
                util.wait_until(
                    lambda: self.greets(port), 20, "a tlspost that greets"
                )
                started = time.monotonic()
                process.terminate()
                self.assertEqual(process.wait(20), 0)
                self.assertGreater(time.monotonic() - started, 4)
            finally:
                process.kill()

    def test_client_that_never_reads_does_not_hold_it_up(self):
        running = self.start_proxy(drain_timeout="2s")
        client = self.connect(running)
        client.ehlo("client.test")
        self.assert_reply(client.command("STARTTLS"), 220)  # and then nothing
        running.terminate()
        self.assertEqual(running.wait(10), 0)
