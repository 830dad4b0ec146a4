"""200 clients at once over ten backend connections: nothing is mixed up."""

import threading

import case
import proxy
import smtpclient

_CLIENTS = 200
_MESSAGES = 2
_BACKEND_CONNECTIONS = 10


class _Person:
    """One client with everything that is its own."""

    def __init__(self, number):
        self.number = number
        self.address = "127.0.%d.%d" % (1 + number // 100, 1 + number % 100)
        self.helo = "helo-%d.test" % number
        self.port = None
        self.error = None

    def sender(self, turn):
        return "sender-%d-%d@sender.test" % (self.number, turn)

    def recipient(self, turn):
        return "recipient-%d-%d@recipient.test" % (self.number, turn)

    def content(self, turn):
        mark = b"client %d turn %d\r\n" % (self.number, turn)
        # Up to some 100 KB, so that messages overlap on the way.
        return (
            b"Subject: "
            + mark
            + b"\r\n"
            + mark * (20 + 37 * (self.number % 50) * (turn + 1))
        )

    def send(self, port, context, all_connected):
        try:
            client = smtpclient.session(
                port, context, self.helo, source=self.address
            )
            self.port = client.source_port
            all_connected.wait(60)
            for turn in range(_MESSAGES):
                client.deliver(
                    self.sender(turn),
                    [self.recipient(turn)],
                    self.content(turn),
                )
            client.quit()
        except Exception as error:  # pylint: disable=broad-except
            all_connected.abort()
            self.error = error


class ConcurrencyTest(case.PostfixCase):
    crowd = True
    both_engines = True

    def send_all(
        self,
        running,
        listener,
        clients=_CLIENTS,
        connections=_BACKEND_CONNECTIONS,
    ):
        """All clients connect, then send their messages at the same time."""
        people = [_Person(number) for number in range(clients)]
        all_connected = threading.Barrier(clients)
        context = self.certificates.trust()
        threads = [
            threading.Thread(
                target=person.send,
                daemon=True,
                args=(running.port, context, all_connected),
            )
            for person in people
        ]
        with proxy.BackendCounter(self.postfix.ports[listener]) as counter:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(80)
        # A barrier that one client broke fails all: show the cause first.
        errors = sorted(
            (
                isinstance(person.error, threading.BrokenBarrierError),
                person.number,
                repr(person.error),
            )
            for person in people
            if person.error
        )
        self.assertEqual(
            errors, [], "%d of %d clients failed" % (len(errors), clients)
        )
        self.assertLessEqual(counter.most, connections)
        self.assertGreater(counter.most, 0)
        return people

    def check_all(self, people, identity):
        """Each message is there once and entirely its own client's."""
        messages = {
            message.sender: message for message in self.postfix.messages()
        }
        self.assertEqual(
            len(self.postfix.queue_ids()), len(people) * _MESSAGES
        )
        self.assertEqual(len(messages), len(people) * _MESSAGES)
        helos = {person.helo for person in people}
        for person in people:
            for turn in range(_MESSAGES):
                message = messages[person.sender(turn)]
                self.assertEqual(message.recipients, [person.recipient(turn)])
                self.assert_content(message, person.content(turn))
                from_whom = "from %s (unknown [%s])" % (
                    person.helo,
                    person.address,
                )
                self.assertIn(from_whom, message.received(1))
                if identity:
                    self.assertIn(from_whom, message.received(0))
                    self.assertEqual(
                        (
                            message.client,
                            message.attributes["log_client_port"],
                            message.helo,
                        ),
                        (
                            "unknown[%s]" % person.address,
                            str(person.port),
                            person.helo,
                        ),
                    )
                else:
                    self.assertEqual(message.client, "unknown[127.0.0.1]")
                    self.assertNotIn(message.helo, helos)

    def run_on(self, listener, identity, **changes):
        running = self.start_proxy(
            listener,
            backend_max_connections=_BACKEND_CONNECTIONS,
            pool_wait_timeout="60s",
            **changes,
        )
        self.check_all(self.send_all(running, listener), identity)
        return running

    def connects(self, listener):
        """How many connections Postfix saw on a listener during this test."""
        return sum(
            "postfix/%s/smtpd[" % listener in line and ": connect from" in line
            for line in self.postfix_log().splitlines()
        )

    def test_backend_that_allows_reuse(self):
        self.run_on("reuse", identity=True)
        # One connection per transaction would be no pool.
        self.assertLess(self.connects("reuse"), _CLIENTS * _MESSAGES / 4)

    def test_backend_that_takes_one_xclient_per_connection(self):
        running = self.run_on("single", identity=True)
        # Said once by each worker at most, with the setting to change.
        running.wait_for_log("smtpd_authorized_xclient_hosts")
        self.assertLessEqual(
            running.log().count("smtpd_authorized_xclient_hosts"), 2
        )
        # One identity, one connection.
        self.assertGreaterEqual(self.connects("single"), _CLIENTS)

    def test_backend_without_xclient(self):
        self.run_on("plain", identity=False)
        self.assertLess(self.connects("plain"), _CLIENTS * _MESSAGES / 4)

    def test_identity_switched_off(self):
        self.run_on(
            "reuse", identity=False, backend_identity="none", workers=1
        )

    def test_more_workers_than_connections(self):
        running = self.start_proxy(
            "reuse",
            workers=4,
            backend_max_connections=1,
            backend_warm_spares=0,
            pool_wait_timeout="60s",
        )
        people = self.send_all(running, "reuse", clients=20, connections=1)
        self.check_all(people, identity=True)
