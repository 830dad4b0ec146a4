"""Clients that send mail after mail, and a ledger of what they heard.

What each client was told of each mail is compared with Postfix's queue:

  sent     250 to the end of the message
  refused  4xx, so the client will send it again: it must not be there
  unknown  the connection ended, or 451 4.4.2, after the message's end was on
           its way: it may be there or not (RFC 5321, 4.5.3.2.6)
  unsent   the connection ended before: it must not be there
  wrong    anything else
"""

import collections
import threading
import time

import smtpclient

CLIENTS = 16


def send_one(client, sender):
    """Sends one mail: its outcome (below) and what was heard."""
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


def check(test, outcomes):
    """Compares every outcome with the queue; the numbers of each.

    outcomes: {sender: (outcome, what was heard)}, test a PostfixCase.
    """
    in_queue = collections.Counter(
        message.sender for message in test.postfix.messages()
    )
    for message in test.postfix.messages():
        test.assertTrue(
            message.below(2).startswith(
                b"Subject: " + message.sender.encode()
            )
        )
        test.assertTrue(message.content.endswith(b"line\n"))
    numbers = collections.Counter()
    for sender, (outcome, detail) in outcomes.items():
        copies = in_queue.pop(sender, 0)
        allowed = {
            "sent": (1,),
            "refused": (0,),
            "unsent": (0,),
            "unknown": (0, 1),
            "wrong": (),
        }[outcome]
        test.assertIn(
            copies,
            allowed,
            "%s is in the queue %d times; its client "
            "heard: %s (%s)" % (sender, copies, detail, outcome),
        )
        numbers[outcome] += 1
        if outcome == "unknown" and copies:
            numbers["unknown and delivered"] += 1
    test.assertEqual(in_queue, {}, "nobody sent these")
    print(
        "    "
        + ", ".join("%s: %d" % item for item in sorted(numbers.items()))
    )
    return numbers


class Traffic:
    """Clients that send one message after another and note each outcome.

    mails: how many a client sends before it leaves and comes again; None: all.
    """

    def __init__(self, port, context, mails=None):
        self.port = port
        self.context = context
        self.mails = mails
        self.outcomes = {}
        self.turned_away = []  # how sessions ended that never came to a mail
        self.sent_at = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(number,), daemon=True)
            for number in range(CLIENTS)
        ]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(40)

    @staticmethod
    def _leave(client):
        """QUIT; a server that ends says 421: all mails have been answered."""
        try:
            reply = client.command("QUIT")
            assert reply.code in (221, 421), reply
        except (OSError, smtpclient.Closed):
            pass

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
            except (OSError, smtpclient.Closed, AssertionError) as error:
                # A refused connection or 421 is no message's outcome.
                with self._lock:
                    self.turned_away.append(repr(error))
                time.sleep(0.05)
                continue
            with client:
                last = None if self.mails is None else turn + self.mails
                while not self._stop.is_set() and turn != last:
                    turn += 1
                    sender = "m-%d-%d@sender.test" % (number, turn)
                    outcome, detail = send_one(client, sender)
                    self._note(sender, outcome, detail)
                    if outcome != "sent":
                        time.sleep(0.02)
                        break
                else:
                    self._leave(client)
