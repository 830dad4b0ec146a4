"""Hostile and innocent clients over the same few connections to Postfix.

Whatever the hostile ones leave behind, an innocent client hears the replies
to its own commands, and Postfix, our header and both logs know its mail as
its own: each reply names the recipient it is about, or the queue file in which
the client's sender is.
"""

import random
import re
import socket
import struct
import threading

import case
import dnsserver
import smtpclient

_INNOCENT = 12
_HOSTILE = 12
_TURNS = 4
# One less and Postfix would not slow down, by default, whoever comes next.
_ERRORS = 9
_SEED = 20261127


class _Person:
    """A client with an address and a name of its own."""

    def __init__(self, kind, number):
        self.number = number
        self.address = "127.0.%d.%d" % ({"i": 40, "h": 50}[kind], 1 + number)
        self.helo = "%s-helo-%d.test" % (kind, number)
        self.name = "%s-name-%d.test" % (kind, number)
        self.error = None

    def run(self, port, context):
        try:
            self.live(port, context)
        except Exception as error:  # pylint: disable=broad-except
            self.error = error


class _Innocent(_Person):
    """Sends mail, one recipient of three refused; keeps what it hears."""

    def __init__(self, number):
        super().__init__("i", number)
        self.sent = []  # (sender, recipients, content, queue id, port)

    def live(self, port, context):
        with smtpclient.session(
            port, context, self.helo, source=self.address
        ) as client:
            for turn in range(_TURNS):
                self.send(client, turn)
            client.quit()

    def send(self, client, turn):
        own = "%d-%d" % (self.number, turn)
        sender = "innocent-%s@sender.test" % own
        names = ["one-", "refused-", "two-"]
        recipients = ["%s%s@recipient.test" % (name, own) for name in names]
        client.send(
            ("MAIL FROM:<%s>\r\n" % sender).encode()
            + b"".join(b"RCPT TO:<%s>\r\n" % r.encode() for r in recipients)
            + b"DATA\r\n"
        )
        replies = client.replies(5)
        codes = [reply.code for reply in replies]
        assert codes == [250, 250, 550, 250, 354], replies
        assert "<%s>" % recipients[1] in replies[2].text, replies[2]
        content = b"Subject: %s\r\n\r\n%s" % (
            own.encode(),
            b"of %s\r\n.\r\n" % own.encode() * (1 + self.number * 20),
        )
        client.send(smtpclient.dot_stuff(content) + b".\r\n")
        reply = client.reply()
        assert reply.code == 250, reply
        queued = re.search(r"queued as (\w+)", reply.text).group(1)
        self.sent.append(
            (
                sender,
                [recipients[0], recipients[2]],
                content,
                queued,
                client.source_port,
            )
        )


class _Hostile(_Person):
    """Leaves its sessions in every state that there is."""

    def __init__(self, number):
        super().__init__("h", number)
        self._random = random.Random(_SEED + number)
        self.played = []

    def live(self, port, context):
        for _ in range(3 * _TURNS):
            deed = self._random.choice(self.DEEDS)
            self.played.append(deed.__name__)
            with smtpclient.session(
                port,
                self._random.choice([None, context]),
                # Somebody else's name, perhaps.
                "i-helo-%d.test" % self._random.randrange(_INNOCENT),
                source=self.address,
            ) as client:
                try:
                    deed(self, client)
                except (OSError, smtpclient.Closed):
                    pass  # Thrown out.
                if self._random.random() < 0.5:
                    client.socket.setsockopt(
                        socket.SOL_SOCKET,
                        socket.SO_LINGER,
                        struct.pack("ii", 1, 0),
                    )

    def collects_errors(self, client):
        client.send(
            b"MAIL FROM:<hostile@sender.test>\r\n"
            + b"RCPT TO:<refused-hostile@recipient.test>\r\n" * _ERRORS
        )
        client.replies(1 + _ERRORS)

    def reads_no_replies(self, client):
        client.send(
            b"MAIL FROM:<hostile@sender.test>\r\n"
            + b"RCPT TO:<refused-hostile@recipient.test>\r\n" * _ERRORS
            + b"RCPT TO:<hostile@recipient.test>\r\nDATA\r\n"
        )

    def reads_half_a_reply(self, client):
        client.send(
            b"MAIL FROM:<hostile@sender.test>\r\nRCPT TO:<h@r.test>\r\n"
        )
        client.socket.recv(5)

    def leaves_a_message(self, client):
        client.envelope("hostile@sender.test", ["hostile@recipient.test"])
        client.command("DATA")
        client.send(b"Subject: evil\r\n\r\nMAIL FROM:<evil@sender.test>\r\n")

    def smuggles(self, client):
        client.envelope("smuggler@sender.test", ["hostile@recipient.test"])
        client.command("DATA")
        client.send(
            b"Subject: evil\r\n\r\n\n.\nMAIL FROM:<evil@sender.test>\n"
            b"RCPT TO:<evil@recipient.test>\nDATA\n\nevil\n.\n\r\n.\r\n"
        )
        client.reply()

    def leaves_a_chunk(self, client):
        client.envelope("hostile@sender.test", ["hostile@recipient.test"])
        client.send(b"BDAT 100000 LAST\r\n\r\n.\r\nRSET\r\nevil")

    def leaves_an_international_transaction(self, client):
        client.command("MAIL FROM:<jürgen@sender.test> SMTPUTF8".encode())
        client.command("RCPT TO:<hostile@recipient.test> NOTIFY=SUCCESS")

    def says_who_it_is_not(self, client):
        for line in (
            "XCLIENT NAME=evil.test ADDR=192.0.2.66",
            "XFORWARD NAME=evil.test ADDR=192.0.2.66",
            "PROXY TCP4 192.0.2.66 192.0.2.1 25 25",
        ):
            client.command(line)
        client.command("MAIL FROM:<hostile@sender.test>")

    def changes_its_name(self, client):
        client.command("MAIL FROM:<hostile@sender.test>")
        client.command("EHLO evil.test")
        client.command("HELO evil.test")
        client.command("MAIL FROM:<hostile@sender.test>")
        client.command("RSET")

    DEEDS = (
        collects_errors,
        reads_no_replies,
        reads_half_a_reply,
        leaves_a_message,
        smuggles,
        leaves_a_chunk,
        leaves_an_international_transaction,
        says_who_it_is_not,
        changes_its_name,
    )


class IsolationTest(case.PostfixCase):
    crowd = True
    both_engines = True

    def play(self, listener, connections, **changes):
        """All of them at once; the innocent ones, and tlspost."""
        innocent = [_Innocent(number) for number in range(_INNOCENT)]
        hostile = [_Hostile(number) for number in range(_HOSTILE)]
        people = innocent + hostile
        dns = dnsserver.DnsServer(
            {person.address: person.name for person in people},
            {person.name: [person.address] for person in people},
        )
        self.addCleanup(dns.close)
        running = self.start_learned_proxy(
            listener,
            backend_max_connections=connections,
            backend_warm_spares=0,
            pool_wait_timeout="60s",
            peername_lookup="yes",
            dns_servers=dns.address,
            hard_error_limit=1000,
            soft_error_limit=1000,
            **changes
        )
        context = self.certificates.trust()
        threads = [
            threading.Thread(
                target=person.run, args=(running.port, context), daemon=True
            )
            for person in people
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(80)
        self.assertEqual(
            [repr(person.error) for person in people if person.error], []
        )
        # Each deed was done, or the numbers above are too small.
        self.assertEqual(
            {deed for person in hostile for deed in person.played},
            {deed.__name__ for deed in _Hostile.DEEDS},
        )
        return running, innocent

    def check(self, running, innocent, told):
        """told: what else Postfix knows of a client: its name, or nothing."""
        messages = {
            message.queue_id: message for message in self.postfix.messages()
        }
        log, postfix_log = running.log(), self.postfix_log()
        for person in innocent:
            self.assertEqual(len(person.sent), _TURNS)
            who = "%s[%s]" % (person.name, person.address)
            for sender, recipients, content, queued, port in person.sent:
                message = messages.pop(queued)
                self.assertEqual(message.sender, sender)
                self.assertEqual(message.recipients, recipients)
                self.assert_content(message, content)
                ours = message.received(1)
                self.assertIn(
                    "from %s (%s [%s])"
                    % (person.helo, person.name, person.address),
                    ours,
                )
                self.assertIn("with ESMTPS id", ours)
                # One line of ours, with this owner and this queue id.
                lines = [
                    line for line in log.splitlines() if queued in line
                ]
                self.assertEqual(len(lines), 1, lines)
                self.assertIn("client=%s, from=<%s>" % (who, sender), lines[0])
                # And Postfix's word on the client of that queue id.
                if told:
                    self.assertEqual(
                        (message.client, message.helo), (who, person.helo)
                    )
                    self.assertEqual(
                        message.attributes["log_client_port"], str(port)
                    )
                    self.assertIn(
                        "%s: client=%s" % (queued, who), postfix_log
                    )
        # What is left are whole mails of the smugglers.
        for message in messages.values():
            self.assertEqual(message.sender, "smuggler@sender.test")
            self.assertIn(
                b"\n.\nMAIL FROM:<evil@sender.test>\n", message.content
            )
            self.assertTrue(message.content.endswith(b"\nevil\n.\n\n"))
        self.assertNotIn("evil@", postfix_log)
        self.assertNotIn("192.0.2.66", postfix_log)

    def test_one_connection_with_xclient(self):
        self.check(*self.play("reuse", 1), told=True)

    def test_three_connections_with_xclient(self):
        self.check(*self.play("reuse", 3), told=True)

    def test_one_xclient_per_connection(self):
        self.check(*self.play("single", 3), told=True)

    def test_one_connection_without_identity(self):
        self.check(*self.play("plain", 1), told=False)

    def test_strict_limits_of_postfix(self):
        """Its error limits at their defaults: nobody pays for others."""
        self.check(
            *self.play("strict", 2, message_size_limit=200000), told=True
        )
