"""A real Postfix that is lost, killed, stopped or slow, at each step.

The ledger must balance whatever happens: what a client was told has arrived
has arrived once, and nothing else has.
"""

import collections
import signal
import time

import case
import traffic
import util
import wire

_HOWS = ("close", "reset", "half", "421")


class LostTest(case.PostfixCase):
    crowd = True
    both_engines = True
    seconds = 180  # some two hundred sessions

    def start(self, **changes):
        self.wire = wire.Wire(self.postfix.ports["reuse"])
        self.addCleanup(self.wire.close)
        self.outcomes = {}
        return self.start_proxy(
            backend=self.wire.address,
            workers=1,
            backend_warm_spares=0,
            backend_backoff_min="100ms",
            backend_backoff_max="100ms",
            **changes
        )

    def send(self, running, sender):
        """One mail by a client of its own; (outcome, what it heard)."""
        client = self.tls_session(running, "lost.test")
        outcome = traffic.send_one(client, sender)
        client.close()
        self.assertNotIn(sender, self.outcomes)
        self.outcomes[sender] = outcome
        return outcome

    def copies(self, sender):
        return sum(
            message.sender == sender for message in self.postfix.messages()
        )

    def assert_works_again(self, running, mark):
        attempts = iter(range(1000))
        util.wait_until(
            lambda: self.send(
                running, "%s-after-%d@sender.test" % (mark, next(attempts))
            )[0]
            == "sent",
            20,
            "a delivery after " + mark,
        )

    def test_E081_E083_at_each_step(self):
        running = self.start()
        heard = collections.Counter()
        for step in wire.STEPS:
            for lost in ("command", "reply"):
                for how in _HOWS:
                    if how == "421" and lost == "reply":
                        continue  # A lie, which nobody can find out.
                    mark = "-".join((step, lost, how)).lower()
                    with self.subTest(mark):
                        outcome = self.lose(running, step, lost, how, mark)
                        heard[step, outcome] += 1
                    self.assert_works_again(running, mark)
        traffic.check(self, self.outcomes)
        # MAIL is tried once more on another connection, and so is whatever
        # comes before it; what comes behind is not.
        for step in ("RCPT", "DATA", "body", "end"):
            self.assertEqual(heard[step, "sent"], 0, (step, heard))
        self.assertGreater(heard["MAIL", "sent"], 0, heard)

    def lose(self, running, step, lost, how, mark):
        for attempt in range(5):
            # EHLO is said on new connections only; one may be under way.
            self.wire.drop_all()
            sender = "%s-%d@sender.test" % (mark, attempt)
            self.wire.set_plan(step, lost, how)
            outcome, text = self.send(running, sender)
            if self.wire.happened.wait(1):
                break
        else:
            self.fail("it did not happen")
        self.assertIn(outcome, ("sent", "refused", "unknown"), text)
        if step == "end":
            # Nobody knows; we know that Postfix heard the end, or did not.
            if how != "421":
                self.assertEqual(outcome, "unknown", text)
            self.assertEqual(self.copies(sender), int(lost == "reply"))
        elif step == "body":
            # What we have sent to the end, in vain, we know as little of.
            self.assertEqual(self.copies(sender), 0)
        elif outcome != "sent":
            self.assertEqual(outcome, "refused", text)
        return outcome

    def test_slow(self):
        """Whatever takes its time: nobody is told anything too soon."""
        running = self.start()
        for step in ("XCLIENT", "MAIL", "RCPT", "DATA", "end"):
            for lost in ("command", "reply"):
                mark = "slow-%s-%s" % (step.lower(), lost)
                with self.subTest(mark):
                    self.wire.drop_all()
                    self.assert_works_again(running, mark)
                    self.wire.set_plan(step, lost, "stall")
                    self.send_slowly(running, step, mark + "@sender.test")
        traffic.check(self, self.outcomes)

    def send_slowly(self, running, step, sender):
        # XCLIENT is said for the first MAIL.
        waits = {"XCLIENT": "MAIL"}.get(step, step)
        client = self.tls_session(running, "slow.test")
        for verb, text, code in (
            ("MAIL", "MAIL FROM:<%s>" % sender, 250),
            ("RCPT", "RCPT TO:<r@recipient.test>", 250),
            ("DATA", "DATA", 354),
            ("end", "Subject: %s\r\n\r\nline\r\n." % sender, 250),
        ):
            client.send(text.encode() + b"\r\n")
            if verb == waits:
                self.assertTrue(self.wire.happened.wait(10))
                # What is said before Postfix has said so is here by now.
                self.assertTrue(client.quiet(0.2))
                self.wire.release()
            self.assert_reply(client.reply(), code)
        self.outcomes[sender] = ("sent", "")


class StoppedTest(case.PostfixCase):
    """SIGSTOP: the connection stands, and nobody is there."""

    crowd = True
    both_engines = True

    def setUp(self):
        super().setUp()
        self.addCleanup(self.postfix.signal, "smtpd", signal.SIGCONT)

    def stop(self):
        self.signal_some(signal.SIGSTOP)

    def signal_some(self, number):
        """To each smtpd there is; Postfix may be about to start the first."""
        util.wait_until(
            lambda: self.postfix.signal("smtpd", number) > 0, 10, "an smtpd"
        )

    def go_on(self):
        self.postfix.signal("smtpd", signal.SIGCONT)

    def test_at_the_end_of_the_message(self):
        running = self.start_proxy(workers=1, backend_warm_spares=0)
        client = self.tls_session(running)
        client.envelope("a@sender.test", ["b@recipient.test"])
        self.assert_reply(client.command("DATA"), 354)
        self.stop()
        client.send(b"Subject: stopped\r\n\r\nbody\r\n.\r\n")
        self.assertTrue(client.quiet(0.5))
        self.go_on()
        self.assert_reply(client.reply(), 250)
        self.only_message()
        self.assert_delivers(client)

    def test_for_longer_than_we_wait(self):
        running = self.start_proxy(
            workers=1,
            backend_warm_spares=0,
            backend_timeout="1s",
            backend_data_done_timeout="1s",
            backend_backoff_min="100ms",
            backend_backoff_max="100ms",
            pool_wait_timeout="1s",
        )
        early, late = (
            self.tls_session(running, name + ".test")
            for name in ("early", "late")
        )
        late.envelope("late@sender.test", ["b@recipient.test"])
        self.assert_reply(late.command("DATA"), 354)
        early.envelope("early@sender.test", [])
        self.stop()
        reply = early.command("RCPT TO:<b@recipient.test>")
        self.assertEqual(reply.code // 100, 4, reply.text)
        late.send(b"Subject: late@sender.test\r\n\r\nline\r\n.\r\n")
        self.assert_reply(late.reply(), 451, r"4\.4\.2")
        self.go_on()

        def delivered():
            client = self.tls_session(running)
            reply = client.command("MAIL FROM:<x@sender.test>")
            client.command("RSET")
            return reply.code == 250

        util.wait_until(delivered, 20, "250 after SIGCONT")
        # It read the end after all, or saw that nobody was there any more.
        senders = [message.sender for message in self.postfix.messages()]
        self.assertIn(senders, ([], ["late@sender.test"]))

    def under_traffic(self, disturb):
        running = self.start_proxy(
            backend_max_connections=8,
            pool_wait_timeout="5s",
            backend_backoff_min="100ms",
            backend_backoff_max="200ms",
        )
        with traffic.Traffic(
            running.port, self.certificates.trust()
        ) as ledger:
            for _ in range(5):
                so_far = len(ledger.sent_at)
                disturb()
                util.wait_until(
                    lambda: len(ledger.sent_at) >= so_far + traffic.CLIENTS,
                    30,
                    "mail after a disturbance",
                )
        return traffic.check(self, ledger.outcomes)

    def test_now_and_then_under_traffic(self):
        def disturb():
            self.stop()
            time.sleep(0.1)  # for clients to run into it
            self.go_on()

        numbers = self.under_traffic(disturb)
        self.assertEqual(set(numbers), {"sent"}, numbers)

    def test_killed_under_traffic(self):
        numbers = self.under_traffic(
            lambda: self.signal_some(signal.SIGKILL)
        )
        self.assertGreater(numbers["sent"], 5 * traffic.CLIENTS)
