"""[[listener]] tables: other settings at some addresses, in one process."""

import proxy
import tlscase
import util


class ListenerTest(tlscase.TlsCase):
    def start(self, more=""):
        """Ports 25, 587 and 465 of one proxy."""
        submission, smtps = util.free_port(), util.free_port()
        tables = """
[[listener]]
address = "127.0.0.1:%d"
tls_security_level = "encrypt"
message_size_limit = 5000
hostname = "submission.test"
%s
[[listener]]
address = ["127.0.0.1:%d"]
tls = "implicit"
message_size_limit = 6000
""" % (
            submission,
            more,
            smtps,
        )
        running = self.start_with_file(
            tables, listen_tls=None, message_size_limit=4000
        )
        running.submission, running.implicit_port = submission, smtps
        return running

    def at(self, running, port):
        """Something to connect to there."""
        other = type("Address", (), {})()
        other.port, other.implicit_port = port, running.implicit_port
        return other

    def test_each_has_its_own(self):
        running = self.start()
        submission = self.at(running, running.submission)
        client = self.plain_session(running)
        self.assertEqual(client.extensions["SIZE"], "4000")
        client.deliver("a@sender.test", ["b@recipient.test"], tlscase.BODY)
        client = self.plain_session(submission)
        self.assertIn("submission.test", client.greeting.text)
        self.assertEqual(client.extensions["SIZE"], "5000")
        self.assert_reply(client.command("MAIL FROM:<a@b.test>"), 530)
        client = self.tls_client(submission)
        self.postfix.clear()
        client.deliver("a@sender.test", ["b@recipient.test"], tlscase.BODY)
        self.assertIn("by submission.test", self.only_message().received(1))
        client = self.tls_client(running, implicit=True)
        self.assertEqual(client.extensions["SIZE"], "6000")
        client.deliver("a@sender.test", ["b@recipient.test"], tlscase.BODY)
        running.wait_for_log(r"listening on 127\.0\.0\.1:%d \(TLS\)"
                             % running.implicit_port)

    def test_a_reload_reaches_all_of_them(self):
        running = self.start()
        self.reload(running)
        client = self.tls_client(self.at(running, running.submission))
        client.deliver("a@sender.test", ["b@recipient.test"], tlscase.BODY)
        client = self.tls_client(running, implicit=True)
        client.deliver("a@sender.test", ["b@recipient.test"], tlscase.BODY)

    def test_a_wrong_one_names_its_line(self):
        for table, words in (
            ("workers = 2", ":3:1: workers: is the same at all addresses"),
            ("helo_requird = true", "did you mean helo_required?"),
            ('tls = "yes"', 'takes "starttls" or "implicit"'),
        ):
            path = self.file(
                '[[listener]]\naddress = "127.0.0.1:0"\n%s\n' % table, ".toml"
            )
            result = proxy.run("--config=" + path)
            self.assertGreater(result.returncode, 0)
            self.assertIn(words, result.stderr)

    def test_one_address_twice(self):
        port = util.free_port()
        path = self.file(
            2 * ('[[listener]]\naddress = "127.0.0.1:%d"\n' % port), ".toml"
        )
        result = proxy.run("--config=" + path)
        self.assertGreater(result.returncode, 0)
        self.assertIn(
            "%s:3:1: address: 127.0.0.1:%d is given twice" % (path, port),
            result.stderr,
        )
