"""Postfix goes and comes back: what was promised is there, only that."""

import collections
import socket
import threading
import time

import case
import smtpclient
import util

_CLIENTS = 16
_BEFORE = 1.0  # seconds of traffic before the stop
_DOWN = 1.0
_AFTER = 2.0  # at least, and until deliveries succeed again


class _Traffic:
    """Clients that send one message after another and note each outcome.

    sent        250 to the end of the message
    refused     4xx, so the client will send it again: it must not be there
    unknown     the connection ended, or 451 4.4.2, after the message's end was
                on its way: it may be there or not (RFC 5321, 4.5.3.2.6)
    unsent      the connection ended before: it must not be there
    wrong       anything else
    """

    def __init__(self, port, context):
        self.port = port
        self.context = context
        self.outcomes = {}
        self.sent_at = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(number,), daemon=True)
            for number in range(_CLIENTS)
        ]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(40)

    def _note(self, sender, outcome, detail=""):
        with self._lock:
            assert sender not in self.outcomes
            self.outcomes[sender] = (outcome, detail)
            if outcome == "sent":
                self.sent_at.append(time.monotonic())

    def _run(self, number):
        turn = 0
        while not self._stop.is_set():
            try:
                client = smtpclient.session(
                    self.port,
                    self.context,
                    "helo-%d.test" % number,
                    source="127.0.3.%d" % (1 + number),
                )
            except (OSError, smtpclient.Closed, AssertionError):
                # A refused connection or 421 is no message's outcome.
                time.sleep(0.05)
                continue
            with client:
                while not self._stop.is_set():
                    turn += 1
                    sender = "m-%d-%d@sender.test" % (number, turn)
                    outcome, detail = self._one(client, sender)
                    self._note(sender, outcome, detail)
                    if outcome != "sent":
                        time.sleep(0.02)
                        break

    @staticmethod
    def _one(client, sender):
        committed = False
        try:
            for line in (
                "MAIL FROM:<%s>" % sender,
                "RCPT TO:<r@recipient.test>",
                "DATA",
            ):
                reply = client.command(line)
                if 400 <= reply.code < 500:
                    return "refused", reply.text
                if reply.code not in (250, 354):
                    return "wrong", "%s: %s" % (line, reply.text)
            content = (
                b"Subject: "
                + sender.encode()
                + b"\r\n\r\n"
                + b"line\r\n" * 500
            )
            client.send(content)
            committed = True
            client.send(b".\r\n")
            reply = client.reply()
        except (OSError, smtpclient.Closed) as error:
            return "unknown" if committed else "unsent", repr(error)
        if reply.code == 250:
            return "sent", reply.text
        if reply.enhanced == "4.4.2":
            return "unknown", reply.text
        if 400 <= reply.code < 500:
            return "refused", reply.text
        return "wrong", reply.text


class RestartTest(case.PostfixCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(self._bring_postfix_back)

    def _bring_postfix_back(self):
        if not self.postfix.running:
            self.postfix.start()

    def check(self, traffic):
        """Compares every outcome with the queue; the numbers of each."""
        in_queue = collections.Counter(
            message.sender for message in self.postfix.messages()
        )
        for message in self.postfix.messages():
            self.assertTrue(
                message.below(2).startswith(
                    b"Subject: " + message.sender.encode()
                )
            )
            self.assertTrue(message.content.endswith(b"line\n"))
        numbers = collections.Counter()
        for sender, (outcome, detail) in traffic.outcomes.items():
            copies = in_queue.pop(sender, 0)
            allowed = {
                "sent": (1,),
                "refused": (0,),
                "unsent": (0,),
                "unknown": (0, 1),
                "wrong": (),
            }[outcome]
            self.assertIn(
                copies,
                allowed,
                "%s is in the queue %d times; its client "
                "heard: %s (%s)" % (sender, copies, detail, outcome),
            )
            numbers[outcome] += 1
            if outcome == "unknown" and copies:
                numbers["unknown and delivered"] += 1
        self.assertEqual(in_queue, {}, "nobody sent these")
        print(
            "    "
            + ", ".join("%s: %d" % item for item in sorted(numbers.items()))
        )
        return numbers

    def restart_under_traffic(self, listener):
        running = self.start_proxy(
            listener,
            backend_max_connections=8,
            pool_wait_timeout="2s",
            backend_backoff_max="500ms",
        )
        with _Traffic(running.port, self.certificates.trust()) as traffic:
            time.sleep(_BEFORE)
            self.postfix.stop()
            time.sleep(_DOWN)
            self.postfix.start()
            back = time.monotonic()
            time.sleep(_AFTER)
            util.wait_until(
                lambda: traffic.sent_at and traffic.sent_at[-1] > back,
                10,
                "a delivery after Postfix's return",
            )
        numbers = self.check(traffic)
        self.assertGreater(numbers["sent"], 2 * _CLIENTS)
        # All clients were at it when Postfix stopped.
        self.assertGreater(len(traffic.outcomes) - numbers["sent"], 0)
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
