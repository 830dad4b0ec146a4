"""Postfix goes and comes back: what was promised is there, only that."""

import socket
import time

import case
import traffic
import util

_BEFORE = 1.0  # seconds of traffic before the stop
_DOWN = 1.0
_AFTER = 2.0  # at least, and until deliveries succeed again


class RestartTest(case.PostfixCase):
    crowd = True

    def setUp(self):
        super().setUp()
        self.addCleanup(self._bring_postfix_back)

    def _bring_postfix_back(self):
        if not self.postfix.running:
            self.postfix.start()

    def restart_under_traffic(self, listener):
        running = self.start_proxy(
            listener,
            backend_max_connections=8,
            pool_wait_timeout="2s",
            backend_backoff_max="500ms",
        )
        with traffic.Traffic(
            running.port, self.certificates.trust()
        ) as ledger:
            time.sleep(_BEFORE)
            self.postfix.stop()
            time.sleep(_DOWN)
            self.postfix.start()
            back = time.monotonic()
            time.sleep(_AFTER)
            util.wait_until(
                lambda: ledger.sent_at and ledger.sent_at[-1] > back,
                10,
                "a delivery after Postfix's return",
            )
        numbers = traffic.check(self, ledger.outcomes)
        self.assertGreater(numbers["sent"], 2 * traffic.CLIENTS)
        # All clients were at it when Postfix stopped.
        self.assertGreater(len(ledger.outcomes) - numbers["sent"], 0)
        self.assert_delivers(self.tls_session(running))

    def test_backend_that_allows_reuse(self):
        self.restart_under_traffic("reuse")

    def test_backend_that_takes_one_xclient_per_connection(self):
        self.restart_under_traffic("single")

    def test_idle_connections_went_stale(self):
        """A restart between two messages is no client's business."""
        # No spares: one that cannot connect would start a back-off.
        running = self.start_proxy("reuse", workers=1, backend_warm_spares=0)
        client = self.tls_session(running)
        self.assert_delivers(client, "before@sender.test")
        self.postfix.stop()
        self.postfix.start()
        self.assert_delivers(client, "after@sender.test")
        client.quit()

    def test_backend_down_at_start(self):
        self.postfix.stop()
        running = self.start_proxy(
            "reuse", backend_backoff_max="500ms", pool_wait_timeout="1s"
        )
        client = self.tls_session(running)
        reply = client.command("MAIL FROM:<early@sender.test>")
        self.assertEqual(reply.code // 100, 4, reply.text)
        running.wait_for_log(
            r"%s.*(?i:refused|connect|down|unreachable)"
            % self.postfix.backend("reuse")
        )
        self.postfix.start()

        def delivered(by, sender):
            reply = by.command("MAIL FROM:<%s>" % sender)
            if reply.code != 250:
                self.assertEqual(reply.code // 100, 4, reply.text)
                return False
            self.assert_reply(by.command("RCPT TO:<r@recipient.test>"), 250)
            self.assert_reply(by.data(b"Subject: late\r\n\r\nbody\r\n"), 250)
            return True

        # A new client, and the one that was refused before.
        for by, sender in (
            (self.tls_session(running), "new@sender.test"),
            (client, "old@sender.test"),
        ):
            util.wait_until(
                lambda by=by, sender=sender: delivered(by, sender),
                10,
                "a delivery after Postfix's first start",
            )
        self.assertEqual(
            sorted(message.sender for message in self.postfix.messages()),
            ["new@sender.test", "old@sender.test"],
        )

    def test_backend_that_never_greets(self):
        """A port that takes connections and stays silent: 4xx, in time."""
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen(50)
            running = self.start_proxy(
                backend="127.0.0.1:%d" % silent.getsockname()[1],
                backend_connect_timeout="1s",
                pool_wait_timeout="2s",
            )
            started = time.monotonic()
            client = self.tls_session(running)
            reply = client.command("MAIL FROM:<early@sender.test>")
            self.assertEqual(reply.code // 100, 4, reply.text)
            self.assertLess(time.monotonic() - started, 15)
            running.stop()
