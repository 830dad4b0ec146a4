"""log_format = json: an object per session and per transaction."""

import json

import tlscase
import util


class JsonLogTest(tlscase.TlsCase):
    def objects(self, running, event=None):
        """Every line of the log, which must be an object; those of a kind."""
        objects = [
            json.loads(line) for line in running.log().splitlines() if line
        ]
        return [
            each for each in objects if event in (None, each.get("event"))
        ]

    def wait_for(self, running, event, count=1):
        util.wait_until(
            lambda: len(self.objects(running, event)) >= count,
            20,
            lambda: "%d objects of %s:\n%s" % (count, event, running.log()),
        )
        return self.objects(running, event)

    def session_of(self, running, helo):
        """The object of the session whose HELO that was."""
        return util.wait_until(
            lambda: [
                each
                for each in self.objects(running, "session")
                if each.get("helo") == helo
            ],
            20,
            lambda: "the session of %r:\n%s" % (helo, running.log()),
        )[0]

    def test_a_mail(self):
        running = self.start_proxy(log_format="json")
        client = self.tls_session(running, "sender.test", "TLSv1.3")
        client.deliver(
            "a@sender.test",
            ["b@recipient.test", "c@recipient.test"],
            tlscase.BODY,
        )
        client.quit()
        (mail,) = self.wait_for(running, "transaction")
        session = self.session_of(running, "sender.test")
        self.assertEqual(mail["status"], "sent")
        self.assertEqual(mail["level"], "info")
        self.assertEqual(mail["client"], "127.0.0.1")
        self.assertEqual(mail["helo"], "sender.test")
        self.assertEqual(mail["from"], "a@sender.test")
        self.assertEqual(mail["to"], ["b@recipient.test", "c@recipient.test"])
        self.assertEqual(mail["recipients"], 2)
        self.assertEqual(mail["octets"], len(tlscase.BODY))
        self.assertEqual([mail["queue_id"]], self.postfix.queue_ids())
        self.assertIn(mail["queue_id"], mail["reply"])
        self.assertGreaterEqual(mail["delay"], mail["delay_message"])
        for each in (mail, session):
            self.assertEqual(each["tls_protocol"], "TLSv1.3")
            self.assertRegex(each["tls_cipher"], "^TLS_")
            self.assertIn(each["tls_bits"], (128, 256))
            self.assertIs(each["tls_resumed"], False)
            self.assertEqual(each["trust"], "Anonymous")
            self.assertRegex(each["certificate_sha256"], "^[0-9A-F]{64}$")
            self.assertEqual(each["certificate_key"], "RSA")
        self.assertEqual(session["messages"], 1)
        self.assertIn("data=1", session["commands"])

    def test_a_refusal(self):
        running = self.start_proxy(log_format="json")
        client = self.plain_session(running)
        client.command("MAIL FROM:<a@sender.test>")
        reply = client.command("RCPT TO:<nobody@>")
        self.assertGreaterEqual(reply.code, 500)
        client.quit()
        session = self.session_of(running, "client.test")
        self.assertNotIn("tls_protocol", session)
        self.assertEqual(session["messages"], 0)
        for mail in self.objects(running, "transaction"):
            self.assertEqual(mail["status"], "refused")

    def test_hostile_octets(self):
        """Whatever a client says, each line is one object and says it."""
        running = self.start_proxy(log_format="json")
        names = [
            b'x","status":"sent',
            b"back\\slash\\",
            b"\xff\xfe\xc3\x28\xed\xa0\x80",
            b"\x01\x02\x7f{}[]",
            b"</script>",
        ]
        for name in names:
            client = self.connect(running)
            client.send(b"EHLO " + name + b"\r\n")
            client.reply()
            client.send(b"MAIL FROM:<" + name + b"@x.test>\r\n")
            client.reply()
            client.send(b"QUIT\r\n")
            client.reply()
            client.close()
        # The harness's own look at the port is a session, too.
        sessions = self.wait_for(running, "session", len(names) + 1)
        self.assertNotIn("status", {key for each in sessions for key in each})

    def test_passwords_are_in_no_object(self):
        running = self.start_proxy(log_format="json")
        client = self.tls_session(running)
        secret = "AHRlc3QAc2VjcmV0cGFzcw=="
        client.command("AUTH PLAIN " + secret)
        client.quit()
        self.session_of(running, "client.test")
        self.assertNotIn(secret, running.log())
        self.assertNotIn("secretpass", running.log())
