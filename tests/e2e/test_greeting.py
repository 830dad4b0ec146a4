"""Who speaks before the greeting."""

import time

import smtpclient
import tlscase


class GreetWaitTest(tlscase.TlsCase):
    def start_proxy(self, **changes):
        # 127.0.0.1 is where the tests look whether it is up.
        return super().start_proxy(
            greet_wait="700ms",
            client_event_limit_exceptions="127.0.0.1",
            **changes
        )

    def arrive(self, running, source="127.0.9.1"):
        client = smtpclient.Client(running.port, source=source, greet=False)
        self.clients.append(client)
        return client

    def test_silence_is_greeted(self):
        running = self.start_proxy()
        started = time.monotonic()
        client = self.arrive(running)
        self.assert_reply(client.reply(), 220)
        self.assertGreater(time.monotonic() - started, 0.6)
        client.ehlo()
        client.deliver("a@sender.test", ["b@recipient.test"], tlscase.BODY)

    def test_E001_words_are_refused(self):
        running = self.start_proxy()
        client = self.arrive(running)
        client.send(b"EHLO client.test\r\n")
        self.assert_reply(client.reply(), 554, r"5\.5\.0")
        self.assertEqual(self.assert_closes(client, 5), b"")
        running.wait_for_log(
            r"18 octets before the greeting from unknown\[127\.0\.9\.1\], refused"
        )

    def test_exceptions_do_not_wait(self):
        running = self.start_proxy()
        started = time.monotonic()
        client = self.arrive(running, "127.0.0.1")
        self.assert_reply(client.reply(), 220)
        self.assertLess(time.monotonic() - started, 0.6)
