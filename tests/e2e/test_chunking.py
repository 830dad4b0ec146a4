"""BDAT through to a real Postfix, which counts the chunks itself."""

import re

import case

# Whoever looks for lines in it is lost.
_TRAP = (
    b"Subject: chunks\r\n\r\n.\r\nMAIL FROM:<evil@sender.test>\r\nRSET\r\n"
    b"\r\n.\r\nQUIT\r\n"
)


def _bdat(data, last=False):
    return b"BDAT %d%s\r\n%s" % (len(data), b" LAST" if last else b"", data)


class ChunkingTest(case.PostfixCase):
    def setUp(self):
        super().setUp()
        self.running = self.start_learned_proxy()
        self.client = self.tls_session(self.running)

    def codes(self, count):
        return [reply.code for reply in self.client.replies(count)]

    def test_E090_chunks_in_pieces_of_any_size(self):
        self.assertIn("CHUNKING", self.client.extensions)
        # Postfix has none.
        self.assertNotIn("BINARYMIME", self.client.extensions)
        half = len(_TRAP) // 2
        for piece in (None, 1, 7, 50):
            with self.subTest(piece=piece):
                self.postfix.clear()
                self.client.envelope("a@sender.test", ["b@recipient.test"])
                self.client.send(
                    _bdat(_TRAP[:half]) + _bdat(_TRAP[half:], last=True), piece
                )
                self.assertEqual(self.codes(2), [250, 250])
                self.assert_content(self.only_message(), _TRAP)

    def test_one_group_with_its_chunks(self):
        self.client.send(
            b"MAIL FROM:<a@sender.test>\r\nRCPT TO:<b@recipient.test>\r\n"
            b"RCPT TO:<refused@recipient.test>\r\n"
            + _bdat(_TRAP[:9])
            + _bdat(_TRAP[9:], last=True)
            + b"NOOP\r\n"
        )
        replies = self.client.replies(6)
        self.assertEqual(
            [reply.code for reply in replies], [250, 250, 550, 250, 250, 250]
        )
        # Postfix has counted our header too.
        octets = int(re.search(r"(\d+) bytes", replies[3].text).group(1))
        self.assertGreater(octets, 9 + 200)
        self.assert_content(self.only_message(), _TRAP)

    def test_E091_chunks_behind_refused_recipients(self):
        self.client.send(
            b"MAIL FROM:<a@sender.test>\r\n"
            b"RCPT TO:<refused@recipient.test>\r\n"
            + _bdat(b"QUIT\r\n")
            + _bdat(b"RSET\r\n", last=True)
        )
        self.assertEqual(self.codes(4), [250, 550, 554, 554])
        self.assert_delivers(self.client)

    def test_E092_nothing_and_last(self):
        self.client.envelope("a@sender.test", ["b@recipient.test"])
        self.client.send(_bdat(_TRAP) + _bdat(b"", last=True))
        self.assertEqual(self.codes(2), [250, 250])
        self.assert_content(self.only_message(), _TRAP)

    def test_E093_data_between_chunks(self):
        self.client.envelope("a@sender.test", ["b@recipient.test"])
        self.client.send(_bdat(b"Subject: x\r\n") + b"DATA\r\nRSET\r\n")
        self.assertEqual(self.codes(3), [250, 503, 250])
        self.assertEqual(self.postfix.messages(), [])
        self.assert_delivers(self.client)

    def test_E095_a_size_that_is_none(self):
        self.client.send(b"BDAT 123456789012345678901\r\nNOOP\r\n")
        self.assert_reply(self.client.reply(), 501, r"5\.5\.4")
        self.assertEqual(self.assert_closes(self.client, 5), b"")

    def test_client_lost_within_the_last_chunk(self):
        self.client.envelope("a@sender.test", ["b@recipient.test"])
        self.client.send(b"BDAT 1000 LAST\r\n" + _TRAP)
        self.client.close()
        other = self.tls_session(self.running, "other.test")
        self.assert_delivers(other, "other@sender.test")
        self.assertEqual(self.only_message().sender, "other@sender.test")

    def test_twenty_megabytes(self):
        running = self.start_learned_proxy(message_size_limit="40M")
        client = self.tls_session(running)
        content = b"Subject: big\r\n\r\n" + b"x" * 998 + b"\r\n"
        content += (b"y" * 76 + b"\r\n") * (2 << 17)
        client.envelope("a@sender.test", ["b@recipient.test"])
        client.send(_bdat(content[: 15 << 20]))
        self.assert_reply(client.reply(), 250)
        client.send(_bdat(content[15 << 20 :], last=True))
        self.assert_reply(client.reply(), 250)
        self.assert_content(self.only_message(), content)


class DiscardTest(case.PostfixCase):
    def test_E094_without_the_offer_a_chunk_is_still_no_command(self):
        running = self.start_learned_proxy(discard_ehlo_keywords="chunking")
        client = self.tls_session(running)
        self.assertNotIn("CHUNKING", client.extensions)
        client.send(_bdat(b"QUIT\r\n", last=True) + b"NOOP\r\n")
        self.assertEqual(
            [reply.code for reply in client.replies(2)], [502, 250]
        )
        self.assert_delivers(client)
