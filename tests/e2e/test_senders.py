"""Other people's mail software as clients: what it sends arrives as it is."""

import json
import os
import shutil
import smtplib
import subprocess
import tempfile
import threading

import case
import debian
import exim
import postfix_sender
import util

_THREADS = 4

# An Exim that sends everything to one port, only under TLS.
_EXIM_SENDS = """\
begin routers
all:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = out
begin transports
out:
  driver = smtp
  port = %d
  allow_localhost
  hosts_require_tls = *
  tls_verify_certificates =
  tls_try_verify_hosts =
  hosts_try_dane =
begin retry
* * F,1h,1s
"""
_QUEUE_RUNS = 3


class SendersTest(case.PostfixCase):
    crowd = True

    def run_program(self, command, tree=None, text=None, **changes):
        environment = dict(os.environ, **changes)
        if tree is not None:
            environment.update(tree.environment())
        done = subprocess.run(
            command,
            input=text,
            text=True,
            env=environment,
            capture_output=True,
            timeout=60,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done

    def unpack(self, *packages):
        try:
            return debian.unpack(*packages)
        except util.Skip as reason:
            self.skipTest(str(reason))

    def folder(self):
        path = tempfile.mkdtemp(prefix="tlspost-e2e-")
        self.addCleanup(shutil.rmtree, path, ignore_errors=True)
        return path

    def assert_arrived(self, helo, body, protocol="ESMTPS"):
        message = self.only_message()
        self.assertEqual(message.sender, "from@sender.test")
        self.assertEqual(message.recipients, ["to@recipient.test"])
        self.assertIn(body, message.content)
        self.assertRegex(message.received(1), "with %s id" % protocol)
        self.assertEqual(message.helo, helo)

    def test_msmtp(self):
        tree = self.unpack("msmtp")
        running = self.start_learned_proxy()
        self.run_program(
            [
                tree.path("usr/bin/msmtp"),
                "--host=127.0.0.1",
                "--port=%d" % running.port,
                "--tls=on",
                "--tls-starttls=on",
                "--tls-certcheck=off",
                "--domain=msmtp.test",
                "--from=from@sender.test",
                "to@recipient.test",
            ],
            tree,
            "Subject: msmtp\n\n.a line with a dot\n.\nthe end\n",
            HOME=self.folder(),
        )
        self.assert_arrived(
            "msmtp.test",
            b"\n.a line with a dot\n.\nthe end\n",
            # Debian 13's asks for SMTPUTF8 where it is offered.
            "(?:ESMTPS|UTF8SMTPS)",
        )

    def test_s_nail(self):
        tree = self.unpack("s-nail")
        running = self.start_learned_proxy()
        self.run_program(
            [
                tree.path("usr/bin/s-nail"),
                "-:/",
                "-Sv15-compat",
                "-Smta=smtp://127.0.0.1:%d" % running.port,
                "-Ssmtp-use-starttls",
                "-Stls-verify=ignore",
                "-Ssmtp-auth=none",
                "-Shostname=nail.test",
                "-Sfrom=from@sender.test",
                "-Ssendwait",
                "-r",
                "from@sender.test",
                "-s",
                "s-nail",
                "to@recipient.test",
            ],
            tree,
            "from s-nail\n.\n.x\n",
            HOME=self.folder(),
        )
        # Without AUTH it says HELO, also under TLS.
        self.assert_arrived("nail.test", b"from s-nail\n", "SMTP")

    def test_nodemailer(self):
        node = shutil.which("node")
        if node is None:
            self.skipTest("nodemailer needs node: apt-get install nodejs")
        tree = self.unpack("node-nodemailer")
        running = self.start_learned_proxy()
        options = {
            "host": "127.0.0.1",
            "port": running.port,
            "name": "node.test",
            "requireTLS": True,
            "tls": {"rejectUnauthorized": False},
        }
        mail = {
            "from": "from@sender.test",
            "to": "to@recipient.test",
            "subject": "nodemailer",
            "text": "first\n.\n..two dots\n",
        }
        script = (
            "require('nodemailer').createTransport(%s).sendMail(%s)"
            ".catch(e => { console.error(e); process.exit(1); });"
            % (json.dumps(options), json.dumps(mail))
        )
        self.run_program(
            [node, "-e", script], NODE_PATH=tree.path("usr/share/nodejs")
        )
        self.assert_arrived("node.test", b"first\n.\n..two dots\n")

    def test_a_whole_queue_of_postfix(self):
        """Every message once, with its own sender, recipient and body."""
        port = util.free_port()
        try:
            sender = postfix_sender.PostfixSender(self.certificates, port)
        except util.Skip as reason:
            self.skipTest(str(reason))
        self.addCleanup(sender.close)
        sender.start()
        # The proxy comes later: the queue fills up first.
        self.fill(sender.ports["submit"], 120)
        running = self.start_proxy(port=port, backend_max_connections=5)
        util.wait_until(
            lambda: sender.queued() == 0,
            60,
            lambda: "an empty queue: %d\n%s"
            % (sender.queued(), util.tail(sender.log())),
        )
        self.check_all("sender.test", 120)
        self.assertNotIn("status=deferred", running.log())

    def test_a_whole_queue_of_exim(self):
        """The same of an Exim, whose TLS is GnuTLS and whose DATA is BDAT."""
        port = util.free_port()
        try:
            sender = exim.Exim(
                self.certificates, sections=_EXIM_SENDS % port
            )
        except util.Skip as reason:
            self.skipTest(str(reason))
        self.addCleanup(sender.close)
        sender.start()
        self.fill(sender.ports["plain"], 50)
        running = self.start_learned_proxy(port=port, backend_max_connections=5)
        runs = [sender.queue_run() for _ in range(_QUEUE_RUNS)]
        for each in runs:
            self.addCleanup(each.kill)
            self.assertEqual(each.wait(60), 0)
        util.wait_until(
            lambda: not sender.queue_ids(),
            60,
            lambda: "an empty queue: %d\n%s"
            % (len(sender.queue_ids()), util.tail(sender.log())),
        )
        self.check_all("exim.test", 50)
        # With the pipelining that it learnt from our EHLO, and by BDAT.
        self.assertIn("bdat=", running.log())
        self.assertEqual(sender.log().count(" Completed"), 50)

    def check_all(self, helo, count):
        """Every mail of fill() has arrived, once, from helo, through TLS."""
        messages = self.postfix.messages()
        self.assertEqual(len(messages), count)
        numbers = set()
        for message in messages:
            number = int(message.sender.split("@")[0][1:])
            numbers.add(number)
            self.assertEqual(message.recipients, ["r%d@recipient.test" % number])
            self.assertIn(b"\nThis is number %d.\n" % number, message.content)
            self.assertEqual(message.helo, helo)
            self.assertIn("with ESMTPS id", message.received(1))
            self.assertIn("(using TLSv1.", message.received(1))
        self.assertEqual(numbers, set(range(count)))

    def fill(self, port, count):
        errors = []

        def submit(first):
            try:
                with smtplib.SMTP("127.0.0.1", port) as client:
                    for number in range(first, count, _THREADS):
                        client.sendmail(
                            "s%d@sender.test" % number,
                            ["r%d@recipient.test" % number],
                            "Subject: %d\r\n\r\nThis is number %d.\r\n"
                            % (number, number),
                        )
            except (OSError, smtplib.SMTPException) as error:
                errors.append(error)

        threads = [
            threading.Thread(target=submit, args=(first,))
            for first in range(_THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(errors, [])
