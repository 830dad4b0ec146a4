"""Pipelined groups, refusals among them, many recipients."""

import threading
import time

import case


class PipeliningTest(case.PostfixCase):
    def codes(self, client, count):
        return [reply.code for reply in client.replies(count)]

    def test_E041_E043_whole_group_in_one_segment(self):
        client = self.tls_session(self.start_proxy())
        client.send(
            b"MAIL FROM:<a@sender.test> SIZE=100\r\n"
            b"RCPT TO:<b@recipient.test>\r\n"
            b"RCPT TO:<refused@recipient.test>\r\n"
            b"RCPT TO:<later@recipient.test>\r\n"
            b"RCPT TO:<c@recipient.test>\r\n"
            b"DATA\r\n"
        )
        replies = client.replies(6)
        self.assertEqual(
            [reply.code for reply in replies], [250, 250, 550, 450, 250, 354]
        )
        # Postfix's own words, enhanced codes included.
        self.assertEqual(replies[1].text, "250 2.1.5 Ok")
        self.assertIn(
            "550 5.1.1 <refused@recipient.test>: Recipient address rejected",
            replies[2].text,
        )
        self.assertEqual(replies[3].enhanced, "4.2.0")
        content = b"Subject: x\r\n\r\ny\r\n"
        client.send(content + b".\r\n")
        self.assert_reply(client.reply(), 250, r"2\.0\.0")
        client.quit()
        message = self.only_message()
        self.assertEqual(
            message.recipients, ["b@recipient.test", "c@recipient.test"]
        )
        self.assert_content(message, content)

    def test_group_in_small_pieces(self):
        group = (
            b"MAIL FROM:<a@sender.test>\r\nRCPT TO:<b@recipient.test>\r\n"
            b"RCPT TO:<refused@recipient.test>\r\nDATA\r\n"
        )
        content = b"Subject: x\r\n\r\n..y\r\n"
        client = self.tls_session(self.start_proxy())
        for chunk in (1, 2, 3, 27, 28):
            with self.subTest(chunk=chunk):
                self.postfix.clear()
                client.send(group, chunk)
                self.assertEqual(self.codes(client, 4), [250, 250, 550, 354])
                client.send(content + b".\r\n", chunk)
                self.assert_reply(client.reply(), 250)
                self.assert_content(
                    self.only_message(), b"Subject: x\r\n\r\n.y\r\n"
                )

    def test_E042_every_recipient_refused(self):
        client = self.tls_session(self.start_proxy())
        client.send(
            b"MAIL FROM:<a@sender.test>\r\n"
            b"RCPT TO:<refused1@recipient.test>\r\n"
            b"RCPT TO:<later@recipient.test>\r\n"
            b"DATA\r\n"
        )
        replies = client.replies(4)
        self.assertEqual(
            [reply.code for reply in replies], [250, 550, 450, 554]
        )
        self.assertEqual(replies[3].enhanced, "5.5.1")
        self.assertTrue(client.quiet(0.2))
        self.assert_reply(client.command("RSET"), 250)
        self.assert_delivers(client)

    def test_sender_refused(self):
        """The rest of the group is answered, one reply each."""
        client = self.tls_session(self.start_proxy())
        client.send(
            b"MAIL FROM:<a@sender.test> NONSENSE=1\r\n"
            b"RCPT TO:<b@recipient.test>\r\nDATA\r\nNOOP\r\n"
        )
        replies = client.replies(4)
        self.assertEqual(
            [reply.code for reply in replies[:3]], [555, 503, 503]
        )
        self.assert_reply(replies[3], 250)
        self.assert_delivers(client)

    def test_two_transactions_and_quit_in_one_write(self):
        client = self.tls_session(self.start_proxy())
        client.send(
            b"MAIL FROM:<a@sender.test>\r\n"
            b"RCPT TO:<refused@recipient.test>\r\n"
            b"RSET\r\nNOOP\r\nMAIL FROM:<b@sender.test>\r\n"
            b"RCPT TO:<b@recipient.test>\r\nRSET\r\nQUIT\r\n"
        )
        self.assertEqual(
            self.codes(client, 8), [250, 550, 250, 250, 250, 250, 250, 221]
        )
        self.assertEqual(self.assert_closes(client, 5), b"")
        self.assertEqual(self.postfix.messages(), [])

    def test_thousand_recipients(self):
        client = self.tls_session(self.start_proxy())
        recipients = [
            "r%04d@recipient.test" % number for number in range(1000)
        ]
        client.send(
            b"MAIL FROM:<a@sender.test>\r\n"
            + b"".join(
                b"RCPT TO:<%s>\r\n" % recipient.encode()
                for recipient in recipients
            )
            + b"DATA\r\n"
        )
        codes = self.codes(client, 1002)
        self.assertEqual(codes, [250] * 1001 + [354])
        client.send(b"Subject: many\r\n\r\nbody\r\n.\r\n")
        self.assert_reply(client.reply(), 250)
        client.quit()
        message = self.only_message()
        self.assertEqual(message.recipients, recipients)

    def test_recipient_limit_of_the_proxy(self):
        client = self.tls_session(self.start_proxy(recipient_limit=3))
        client.send(
            b"MAIL FROM:<a@sender.test>\r\n"
            + b"".join(
                b"RCPT TO:<r%d@recipient.test>\r\n" % number
                for number in range(5)
            )
            + b"DATA\r\n"
        )
        self.assertEqual(
            self.codes(client, 7), [250, 250, 250, 250, 452, 452, 354]
        )
        client.send(b"Subject: x\r\n\r\ny\r\n.\r\n")
        self.assert_reply(client.reply(), 250)
        self.assertEqual(len(self.only_message().recipients), 3)

    def test_E056_recipient_limit_of_the_backend(self):
        """Its 452 goes to the client, who goes on with those accepted."""
        client = self.tls_session(self.start_proxy("strict"))
        client.send(
            b"MAIL FROM:<a@sender.test>\r\n"
            + b"".join(
                b"RCPT TO:<r%d@recipient.test>\r\n" % number
                for number in range(8)
            )
            + b"DATA\r\n"
        )
        self.assertEqual(self.codes(client, 10), [250] * 6 + [452] * 3 + [354])
        client.send(b"Subject: x\r\n\r\ny\r\n.\r\n")
        self.assert_reply(client.reply(), 250)
        client.quit()
        self.assertEqual(len(self.only_message().recipients), 5)

    def test_E058_client_that_reads_no_reply_for_a_while(self):
        """Neither side may block the other: edge case 58."""
        running = self.start_proxy()
        client = self.tls_session(running, receive_buffer=4096)
        recipients = 900
        rounds = 3
        group = (
            b"MAIL FROM:<a@sender.test>\r\n"
            + b"".join(
                b"RCPT TO:<r%04d-%s@recipient.test>\r\n" % (number, b"x" * 50)
                for number in range(recipients)
            )
            + b"RSET\r\n"
        )
        client.socket.settimeout(60)
        sender = threading.Thread(
            target=client.socket.sendall,
            daemon=True,
            args=(client.encrypt(group * rounds),),
        )
        sender.start()
        time.sleep(0.5)
        self.assertEqual(
            set(self.codes(client, (recipients + 2) * rounds)), {250}
        )
        sender.join(10)
        self.assert_delivers(client)
